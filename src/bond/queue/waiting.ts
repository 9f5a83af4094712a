/**
 * What the queue notes of every slot that waits in it, by slot number, so that a list of packets is
 * two numbers and costs nothing: no object, no array of its own.
 */
import type { TimeUs } from "../../core/time.ts";

/** RFC 8290 section 5.2.2's default. A power of two; a flow's bucket is the low bits of its hash. */
export const BUCKETS = 1024;
const BUCKET_MASK = BUCKETS - 1;

/** No slot, no bucket. */
export const NONE = -1;

/**
 * Where a slot waits, and why. `held`: in its bucket, but of a kind that may be realtime, so that no
 * later packet of its flow may overtake it there.
 */
export const KIND = { bulk: 0, realtime: 1, held: 2 } as const;

export class Waiting {
  /** The slot behind this one in its list. */
  readonly next: Int32Array;
  /** By the queue's clock, which stands still when nothing leaves (`standstill.ts`). */
  readonly enteredUs: Float64Array;
  /** 16-bit flow hashes. */
  readonly flow: Uint16Array;
  readonly kind: Uint8Array;
  /** Slots of kind `held` by bucket. */
  readonly heldCount = new Uint16Array(BUCKETS);

  constructor(slotCount: number) {
    this.next = new Int32Array(slotCount);
    this.enteredUs = new Float64Array(slotCount);
    this.flow = new Uint16Array(slotCount);
    this.kind = new Uint8Array(slotCount);
  }

  enter(clockUs: TimeUs, slot: number, flow: number, kind: number): void {
    this.next[slot] = NONE;
    this.enteredUs[slot] = clockUs;
    this.flow[slot] = flow;
    this.kind[slot] = kind;
    if (kind === KIND.held) this.#addHeld(flow, 1);
  }

  /** To be called for every slot that leaves the queue, whichever way. */
  leave(slot: number): void {
    if (this.kind[slot] === KIND.held) this.#addHeld(this.flow[slot] as number, -1);
  }

  #addHeld(flow: number, count: number): void {
    const bucket = bucketOf(flow);
    this.heldCount[bucket] = (this.heldCount[bucket] as number) + count;
  }
}

export function bucketOf(flow: number): number {
  return flow & BUCKET_MASK;
}
