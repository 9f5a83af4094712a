/**
 * Token bucket that spreads a window over its round-trip time (RFC 9002 section 7.7). The depth is
 * two ticks of the timers that drive it, so that a late timer costs no rate, and lost time beyond it
 * is never caught up.
 */
import { MS, NEVER, type TimeUs } from "../core/time.ts";

const TICK_US = 1 * MS;
const DEPTH_TICKS = 2;
/**
 * And these, so that slow links need not wait for a tick. No more: ten of them (an initial window) made
 * the queue of eight links on one 100 Mbit/s path wander by 8 ms. The initial window is not paced.
 */
const DEPTH_PACKETS = 2;
/** A wake-up should be worth its cost: it waits until this many ticks' worth may leave. */
const QUANTUM_TICKS = 0.5;

export class Pacer {
  readonly #mssBytes: number;
  #tokens: number;
  #rate = Number.POSITIVE_INFINITY;
  #updatedUs: TimeUs = 0;

  constructor(mssBytes: number) {
    this.#mssBytes = mssBytes;
    this.#tokens = DEPTH_PACKETS * mssBytes;
  }

  /** Octets per microsecond; Infinity: not paced. */
  setRate(nowUs: TimeUs, rate: number): void {
    this.#refill(nowUs);
    this.#rate = rate;
  }

  /** A packet may leave now. The bucket may go into debt by one packet. */
  allows(nowUs: TimeUs): boolean {
    if (this.#rate === Number.POSITIVE_INFINITY || this.#tokens > 0) return true;
    this.#refill(nowUs);
    return this.#tokens > 0;
  }

  spend(bytes: number): void {
    this.#tokens -= bytes;
  }

  /** When the next quantum may leave. */
  readyUs(nowUs: TimeUs): TimeUs {
    if (this.#rate === 0) return NEVER;
    if (this.#rate === Number.POSITIVE_INFINITY) return nowUs;
    const quantum = Math.max(this.#rate * TICK_US * QUANTUM_TICKS, this.#mssBytes);
    return nowUs + Math.ceil(Math.max(quantum - this.#tokens, 0) / this.#rate);
  }

  #refill(nowUs: TimeUs): void {
    const elapsedUs = nowUs - this.#updatedUs;
    this.#updatedUs = nowUs;
    const depth = DEPTH_PACKETS * this.#mssBytes;
    if (this.#rate === Number.POSITIVE_INFINITY) {
      this.#tokens = depth;
      return;
    }
    const limit = this.#rate * TICK_US * DEPTH_TICKS + depth;
    this.#tokens = Math.min(this.#tokens + elapsedUs * this.#rate, limit);
  }
}
