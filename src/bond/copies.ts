/**
 * Second copies of realtime packets, for who would rather pay octets than wait for a repair: made while
 * they stay within a share of what the links carry, so that they never crowd out what they copy.
 */
import type { Arena } from "../core/arena.ts";
import { MS, type TimeUs } from "../core/time.ts";

/** Of what the links carry together. */
const SHARE = 0.1;
/** Copies may be ahead of their share by so long. */
const AHEAD_US = 100 * MS;

export class Copies {
  made = 0;
  readonly #arena: Arena;
  /** Until when the share is used up. */
  #untilUs: TimeUs = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /**
   * A slot with a copy of the packet in `slot`, which the caller owns; -1 when the share or the slots
   * are used up. `capacity`: octets per microsecond that the links carry.
   */
  make(nowUs: TimeUs, slot: number, capacity: number): number {
    const arena = this.#arena;
    const bytes = arena.length[slot] as number;
    const untilUs = Math.max(this.#untilUs, nowUs) + bytes / (SHARE * capacity);
    if (!(untilUs - nowUs <= AHEAD_US)) return -1;
    const copy = arena.take();
    if (copy < 0) return -1;
    const from = arena.start[slot] as number;
    arena.octets.copyWithin(arena.start[copy] as number, from, from + bytes);
    arena.length[copy] = bytes;
    this.#untilUs = untilUs;
    this.made += 1;
    return copy;
  }
}
