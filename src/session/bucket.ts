/** A token bucket: so many a second, and a burst after quiet. */
import { SECOND, type TimeUs } from "../core/time.ts";

export class TokenBucket {
  readonly #perUs: number;
  readonly #burst: number;
  #tokens: number;
  #atUs: TimeUs = 0;

  constructor(perSecond: number, burst: number) {
    this.#perUs = perSecond / SECOND;
    this.#burst = burst;
    this.#tokens = burst;
  }

  has(nowUs: TimeUs): boolean {
    const gained = (nowUs - this.#atUs) * this.#perUs;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#atUs = nowUs;
    return this.#tokens >= 1;
  }

  /** Takes one; false when there is none. */
  take(nowUs: TimeUs): boolean {
    if (!this.has(nowUs)) return false;
    this.#tokens -= 1;
    return true;
  }
}
