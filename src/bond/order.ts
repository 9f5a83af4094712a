/**
 * Order numbers: one count over all DATA packets of a session, and for each packet the distance to the
 * packet of the same inner flow before it, which is all a receiver needs to restore the order within
 * flows. Two flows that share a hash are merely kept in order with each other.
 */
import { PREV_FAR, PREV_UNORDERED } from "../wire/preamble.ts";

/** A power of two. */
const FLOWS = 4096;
const ORDER_MODULUS = 0x100_0000;

export class OrderStamp {
  /** Order number of the packet stamped last, 24 bits on the wire. */
  order = 0;
  prev: number = PREV_UNORDERED;
  /** Count of packets stamped, never wrapped. */
  #count = 0;
  #last = new Float64Array(0);

  /** Sets `order` and `prev` for the next packet of the flow. */
  next(flowHash: number): void {
    // A bond of one link never asks for it.
    if (this.#last.length === 0) this.#last = new Float64Array(FLOWS);
    this.#count += 1;
    const at = flowHash & (FLOWS - 1);
    const last = this.#last[at] as number;
    this.#last[at] = this.#count;
    this.order = this.#count % ORDER_MODULUS;
    this.prev = last === 0 ? PREV_UNORDERED : Math.min(this.#count - last, PREV_FAR);
  }

  /** Sets `order` and `prev` for a packet that waits for none and that none waits for. */
  nextUnordered(): void {
    this.#count += 1;
    this.order = this.#count % ORDER_MODULUS;
    this.prev = PREV_UNORDERED;
  }
}
