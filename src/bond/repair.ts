/**
 * Packets that a link has lost, on their way to being sent again on whichever link delivers first. One
 * bounded try after the other while the packet is young, as a link layer with low persistence does (RFC 3366
 * section 2.2): nothing is guaranteed, but a lossy or dead link costs a flow a round trip rather than a window.
 */
import type { Arena } from "../core/arena.ts";
import { MS, NEVER, type TimeUs } from "../core/time.ts";

/** A power of two: 0.4 s at 100 Mbit/s. What comes on top is given up. */
const PACKETS_MAX = 4096;
/** A packet that is older is not worth its octets: its sender has sent it again by now. */
const AGE_MAX_US = 500 * MS;
const CLOCK_MODULUS = 0x1_0000_0000;

export class Repair {
  /** Packets sent again. */
  resent = 0;
  /** Packets given up because they were too old or too many. */
  abandoned = 0;
  readonly #arena: Arena;
  #slots = new Int32Array(0);
  #head = 0;
  #tail = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  get packets(): number {
    return this.#tail - this.#head;
  }

  /** Notes on a packet when it first leaves. Slots on their way out do not use `info` otherwise. */
  born(nowUs: TimeUs, slot: number): void {
    this.#arena.info[slot] = nowUs / MS;
  }

  /** Takes over the slot of a lost packet, its preamble still in front. */
  add(slot: number): void {
    if (this.packets === PACKETS_MAX) {
      this.#abandon(slot);
      return;
    }
    if (this.#slots.length === 0) this.#slots = new Int32Array(PACKETS_MAX);
    this.#slots[this.#tail & (PACKETS_MAX - 1)] = slot;
    this.#tail += 1;
  }

  /** The oldest packet that is worth sending, -1 when there is none. */
  peek(nowUs: TimeUs): number {
    while (this.#head < this.#tail) {
      const slot = this.#slots[this.#head & (PACKETS_MAX - 1)] as number;
      if (this.#ageUs(nowUs, slot) <= AGE_MAX_US) return slot;
      this.#head += 1;
      this.#abandon(slot);
    }
    return -1;
  }

  /** Removes what `peek` has shown, which the caller now owns. */
  shift(): void {
    this.resent += 1;
    this.#head += 1;
  }

  /** When the oldest packet is too old; Infinity when there is none. */
  deadlineUs(nowUs: TimeUs): TimeUs {
    if (this.#head === this.#tail) return NEVER;
    const slot = this.#slots[this.#head & (PACKETS_MAX - 1)] as number;
    return nowUs + Math.max(AGE_MAX_US - this.#ageUs(nowUs, slot), 0) + MS;
  }

  clear(): void {
    for (; this.#head < this.#tail; this.#head += 1) {
      this.#arena.give(this.#slots[this.#head & (PACKETS_MAX - 1)] as number);
    }
  }

  #abandon(slot: number): void {
    this.abandoned += 1;
    this.#arena.give(slot);
  }

  #ageUs(nowUs: TimeUs, slot: number): number {
    const born = this.#arena.info[slot] as number;
    const nowMs = Math.floor(nowUs / MS) % CLOCK_MODULUS;
    return ((nowMs - born + CLOCK_MODULUS) % CLOCK_MODULUS) * MS;
  }
}
