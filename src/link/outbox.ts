/** What a link has stamped and not yet handed to a socket, in order: DATA up to a batch, and room for the rest behind. */

/** DATA packets an outbox takes before it must be drained; one system call carries as many. */
export const OUTBOX_PACKETS = 128;
/** Room for feedback, probes and CONTROL behind them. */
const OUTBOX_ROOM = OUTBOX_PACKETS + 16;

export class Outbox {
  readonly slots = new Int32Array(OUTBOX_ROOM);
  count = 0;

  /** No further inner packet: it must be drained first. */
  get full(): boolean {
    return this.count >= OUTBOX_PACKETS;
  }

  /** Nor anything else. */
  get crammed(): boolean {
    return this.count >= OUTBOX_ROOM;
  }

  push(slot: number): void {
    this.slots[this.count] = slot;
    this.count += 1;
  }

  /** The first `count` slots are gone. */
  drained(count: number): void {
    this.slots.copyWithin(0, count, this.count);
    this.count -= count;
  }
}
