/** When a transport that failed is tried again: seldom and ever more seldom, unless there is news. */
import { SECOND, type TimeUs } from "../core/time.ts";

const FIRST_US = 30 * SECOND;
/** Policing, mangling and limits of size are somebody's configuration, not an accident that passes. */
const FIRST_DELIBERATE_US = 300 * SECOND;
const INTERVAL_MAX_US = 3600 * SECOND;
/** A transport that has carried this long since its last trial begins with the first interval again. */
const FORGIVEN_AFTER_US = 600 * SECOND;

/** `blocked`: nothing came through. `deliberate`: something did, but not what was needed. */
export type Failure = "blocked" | "deliberate";

export class Retry {
  /** No trial before this. */
  untilUs: TimeUs = Number.NEGATIVE_INFINITY;
  /** When it failed last. */
  failedUs: TimeUs = Number.NEGATIVE_INFINITY;
  #failure: Failure = "blocked";
  #intervalUs = 0;
  #passedUs: TimeUs = Number.NEGATIVE_INFINITY;

  /** It failed and may not be tried yet. */
  waits(nowUs: TimeUs): boolean {
    return nowUs < this.untilUs;
  }

  failed(nowUs: TimeUs, failure: Failure): void {
    if (this.#passedUs >= this.failedUs && nowUs - this.#passedUs >= FORGIVEN_AFTER_US)
      this.reset();
    const firstUs = failure === "deliberate" ? FIRST_DELIBERATE_US : FIRST_US;
    this.#intervalUs = Math.min(Math.max(2 * this.#intervalUs, firstUs), INTERVAL_MAX_US);
    this.untilUs = nowUs + this.#intervalUs;
    this.failedUs = nowUs;
    this.#failure = failure;
  }

  /** It passed a trial. The next failure still doubles the interval, unless it carries for long. */
  passed(nowUs: TimeUs): void {
    this.#passedUs = nowUs;
    this.untilUs = nowUs;
  }

  /** HELLOs come through where nothing did: it need not wait longer than the first time. */
  seenAgain(): void {
    if (this.#failure === "deliberate") return;
    this.untilUs = Math.min(this.untilUs, this.failedUs + FIRST_US);
  }

  /** It works for somebody: try it now. Should it fail, the wait still grows. */
  hasten(nowUs: TimeUs): void {
    this.untilUs = Math.min(this.untilUs, nowUs);
  }

  /** The path is another, or was repaired. */
  reset(): void {
    this.untilUs = Number.NEGATIVE_INFINITY;
    this.failedUs = Number.NEGATIVE_INFINITY;
    this.#intervalUs = 0;
  }
}
