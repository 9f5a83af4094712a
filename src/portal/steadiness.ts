/**
 * How long a link whose device comes and goes must stay before it counts as back: at first not at all,
 * longer with each loss, so that a flapping carrier floods neither the peer nor the log. Keeps no clock.
 */
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";

/** Losses that cost no wait: a cable moved to another socket is pulled once or twice. */
const FREE_LOSSES = 2;
const HOLD_FIRST_US = 100 * MS;
const HOLD_MAX_US = 5 * SECOND;
/** One loss is forgotten after so long. */
const FORGET_US = 10 * SECOND;
/** Where HOLD_MAX_US is reached; more are not remembered. */
const LOSSES_MAX = FREE_LOSSES + 7;

export class Steadiness {
  #losses = 0;
  #lostUs: TimeUs = Number.NEGATIVE_INFINITY;
  #backUs: TimeUs = NEVER;
  #there = true;

  /** It is not there. */
  lost(nowUs: TimeUs): void {
    if (!this.#there) return;
    const forgotten = Math.floor((nowUs - this.#lostUs) / FORGET_US);
    this.#losses = Math.min(Math.max(this.#losses - forgotten, 0) + 1, LOSSES_MAX);
    this.#lostUs = nowUs;
    this.#there = false;
  }

  /** It is there. @returns from when on it counts as back, if nothing comes between */
  found(nowUs: TimeUs): TimeUs {
    if (!this.#there) this.#backUs = nowUs + this.#holdUs();
    this.#there = true;
    return this.#backUs;
  }

  #holdUs(): number {
    const dear = this.#losses - FREE_LOSSES;
    return dear <= 0 ? 0 : Math.min(HOLD_FIRST_US * 2 ** (dear - 1), HOLD_MAX_US);
  }
}
