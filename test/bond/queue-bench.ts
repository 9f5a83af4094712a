/** The shared queue with an arena of its own: packets are made and pushed, taken and given back. */
import { IngressQueue } from "../../src/bond/queue.ts";
import { Arena } from "../../src/core/arena.ts";
import { type InnerPacket, slotOf } from "./inner-packets.ts";

/** Octets a microsecond. */
export const MBIT = 1 / 8;

export class Bench {
  readonly arena: Arena;
  readonly queue: IngressQueue;
  #pushed = 0;

  constructor(slots = 16_384) {
    this.arena = new Arena(slots);
    this.queue = new IngressQueue(this.arena);
  }

  /** Numbered in `arena.seq`: slots are used again at once. */
  push(nowUs: number, packet: InnerPacket): number {
    const slot = slotOf(this.arena, packet);
    this.arena.seq[slot] = this.#pushed;
    this.#pushed += 1;
    this.queue.push(nowUs, slot);
    return slot;
  }

  /** Takes the next packet and gives its slot back; -1: none. */
  take(nowUs: number): number {
    const slot = this.queue.peek(nowUs);
    if (slot < 0) return -1;
    this.queue.shift();
    this.arena.give(slot);
    return slot;
  }
}
