/**
 * The clock by which packets of a class grow old in the queue. It stands still while they wait and none leaves:
 * no link takes any, which says that the links are away for a moment, not that senders are too fast.
 * What waits then is delivered late rather than dropped for its age by the hundred, and CoDel does not
 * take the moment for a queue. Within an allowance, so that links which pause all the time cannot make
 * the queue long: everything waits at most that much longer.
 */
import { MS, type TimeUs } from "../../core/time.ts";
import type { Tuning } from "./tuning.ts";

/** A pause is no standstill before this: links are paced, and radio links take their turns. */
const PAUSE_MIN_US = 50 * MS;
/** Nor before so many packets could have left: slow links. */
const PAUSE_PACKETS = 4;
/** As long as what a link has lost is worth repairing. */
export const STANDSTILL_MAX_US = 500 * MS;
/** The allowance comes back within four seconds. */
const REGAIN_SHARE = 1 / 8;

export class StandstillClock {
  readonly #tuning: Tuning;
  /** Since when packets wait and none has left; when there are none, of no meaning. */
  #sinceUs: TimeUs = 0;
  /** How long nothing may leave before it is a standstill, by what the links did at that moment. */
  #leastUs = PAUSE_MIN_US;
  /** How much this clock is behind, without the present pause. */
  #behindUs = 0;
  #allowanceUs = STANDSTILL_MAX_US;
  #allowedUs: TimeUs = 0;

  constructor(tuning: Tuning) {
    this.#tuning = tuning;
  }

  /** What the clock shows; it never goes back. */
  at(nowUs: TimeUs): TimeUs {
    return nowUs - this.#behindUs - this.#pauseUs(nowUs);
  }

  /** From now on packets wait and none has left. */
  began(nowUs: TimeUs): void {
    this.#sinceUs = nowUs;
    this.#leastUs = Math.max(PAUSE_MIN_US, PAUSE_PACKETS * this.#tuning.packetUs);
  }

  /** A packet leaves. */
  left(nowUs: TimeUs): void {
    const pauseUs = this.#pauseUs(nowUs);
    if (pauseUs > 0) {
      this.#behindUs += pauseUs;
      this.#allowanceUs = this.#allowanceAtUs(this.#sinceUs) - pauseUs;
      this.#allowedUs = nowUs;
    }
    this.began(nowUs);
  }

  /** How much of the present pause does not count. */
  #pauseUs(nowUs: TimeUs): number {
    const pauseUs = nowUs - this.#sinceUs - this.#leastUs;
    return pauseUs <= 0 ? 0 : Math.min(pauseUs, this.#allowanceAtUs(this.#sinceUs));
  }

  #allowanceAtUs(nowUs: TimeUs): number {
    const regainedUs = REGAIN_SHARE * Math.max(nowUs - this.#allowedUs, 0);
    return Math.min(this.#allowanceUs + regainedUs, STANDSTILL_MAX_US);
  }
}
