/**
 * The queue that inner packets wait in until a link pulls them: first in, first out, bounded in
 * packets, octets and time. The packet at the head pays for lateness, so that senders learn of
 * congestion early (RFC 7567 section 4.2.1 prefers the head for this reason).
 */
import type { Arena } from "../core/arena.ts";
import { MS, type TimeUs } from "../core/time.ts";

/** A power of two. 8192 full packets: 12 MB, or 100 ms at 1 Gbit/s. */
export const QUEUE_PACKETS_MAX = 8192;
export const QUEUE_BYTES_MAX = 8 * 1024 * 1024;
/** Longest wait: a loss-based sender needs about a round-trip time of buffer, a person notices more. */
export const QUEUE_DELAY_MAX_US = 100 * MS;

const MASK = QUEUE_PACKETS_MAX - 1;

export class IngressQueue {
  bytes = 0;
  /** Packets refused because the queue was full, and dropped because they had waited too long. */
  refused = 0;
  expired = 0;
  readonly #arena: Arena;
  #slots = new Int32Array(0);
  #enteredUs = new Float64Array(0);
  #head = 0;
  #tail = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  get packets(): number {
    return this.#tail - this.#head;
  }

  /** Takes the slot over; false: full, the slot stays the caller's. */
  push(nowUs: TimeUs, slot: number): boolean {
    const bytes = this.#arena.length[slot] as number;
    if (this.packets === QUEUE_PACKETS_MAX || this.bytes + bytes > QUEUE_BYTES_MAX) {
      this.refused += 1;
      return false;
    }
    if (this.#slots.length === 0) this.#allocate();
    const at = this.#tail & MASK;
    this.#slots[at] = slot;
    this.#enteredUs[at] = nowUs;
    this.#tail += 1;
    this.bytes += bytes;
    return true;
  }

  /** The slot at the head, -1 when empty. Packets that have waited too long are given back first. */
  peek(nowUs: TimeUs): number {
    while (this.#head < this.#tail) {
      const at = this.#head & MASK;
      const slot = this.#slots[at] as number;
      if (nowUs - (this.#enteredUs[at] as number) <= QUEUE_DELAY_MAX_US) return slot;
      this.expired += 1;
      this.shift();
      this.#arena.give(slot);
    }
    return -1;
  }

  /** Removes the slot at the head, which the caller now owns. Only after `peek` has shown one. */
  shift(): void {
    const slot = this.#slots[this.#head & MASK] as number;
    this.bytes -= this.#arena.length[slot] as number;
    this.#head += 1;
  }

  /** A peer that never sends costs nothing. */
  #allocate(): void {
    this.#slots = new Int32Array(QUEUE_PACKETS_MAX);
    this.#enteredUs = new Float64Array(QUEUE_PACKETS_MAX);
  }

  /** Gives every slot back. */
  clear(): void {
    while (this.#head < this.#tail) {
      const slot = this.#slots[this.#head & MASK] as number;
      this.shift();
      this.#arena.give(slot);
    }
  }
}
