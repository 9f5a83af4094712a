/** What a link has stamped and not yet handed to a socket, in order: DATA up to a batch, and room for the rest behind. */
import type { Arena } from "../core/arena.ts";

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

  /**
   * Takes out what a flight holds besides and a full socket has left here: on a link that may be dead it would only
   * wait, and nobody could send it elsewhere.
   */
  withdraw(arena: Arena): void {
    let kept = 0;
    for (let index = 0; index < this.count; index += 1) {
      const slot = this.slots[index] as number;
      if (arena.shared(slot)) {
        arena.give(slot);
        continue;
      }
      this.slots[kept] = slot;
      kept += 1;
    }
    this.count = kept;
  }

  /** The first `count` slots are gone. */
  drained(count: number): void {
    this.slots.copyWithin(0, count, this.count);
    this.count -= count;
  }
}
