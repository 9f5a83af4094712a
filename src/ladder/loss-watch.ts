/**
 * When the loss of DATA is worth a comparison with another transport. Loss alone says nothing: most of it
 * is congestion, which no other transport would spare us. So a comparison that finds both alike makes the next one wait longer.
 */
import { SECOND, type TimeUs } from "../core/time.ts";

const PERIOD_US = SECOND;
/** Fewer lost packets, or a smaller share of them, is no reason. */
const LOST_MIN = 8;
const SHARE_MIN = 0.02;
/** Between comparisons that find no difference: doubled each time. */
const INTERVAL_FIRST_US = 5 * SECOND;
const INTERVAL_MAX_US = 300 * SECOND;
/** What is declared lost so soon after a switch was sent by the transport before. */
const GRACE_US = SECOND / 2;
/** Quiet for this long, and the first interval holds again. */
const QUIET_US = 600 * SECOND;
/** Loss so heavy, for so long, that TCP may be the better one. */
const HEAVY_SHARE = 0.2;
const HEAVY_AFTER_US = 10 * SECOND;

export class LossWatch {
  /** A comparison is due. */
  due = false;
  /** Losses count from here on. */
  #fromUs: TimeUs = Number.NEGATIVE_INFINITY;
  #lost = 0;
  #acked = 0;
  #periodUs: TimeUs = Number.NEGATIVE_INFINITY;
  #dueUs: TimeUs = Number.NEGATIVE_INFINITY;
  #notBeforeUs: TimeUs = Number.NEGATIVE_INFINITY;
  #intervalUs = INTERVAL_FIRST_US;
  /** Since when every period had heavy loss; Infinity: the last one had not. */
  #heavySinceUs: TimeUs = Number.POSITIVE_INFINITY;

  add(nowUs: TimeUs, lost: number, acked: number): void {
    if (nowUs < this.#fromUs) return;
    if (nowUs - this.#periodUs >= PERIOD_US) this.#nextPeriod(nowUs);
    this.#lost += lost;
    this.#acked += acked;
    const packets = this.#lost + this.#acked;
    if (this.#lost < LOST_MIN || this.#lost < SHARE_MIN * packets) return;
    if (nowUs - this.#dueUs > QUIET_US) this.#intervalUs = INTERVAL_FIRST_US;
    this.#dueUs = nowUs;
    this.due = nowUs >= this.#notBeforeUs;
  }

  /** Has lost a fifth or more for ten seconds. */
  heavy(nowUs: TimeUs): boolean {
    return nowUs - this.#heavySinceUs >= HEAVY_AFTER_US;
  }

  /** A comparison found no difference; `leaning`: none that is certain. */
  alike(nowUs: TimeUs, leaning: boolean): void {
    this.due = false;
    this.#notBeforeUs = nowUs + this.#intervalUs;
    if (!leaning) this.#intervalUs = Math.min(2 * this.#intervalUs, INTERVAL_MAX_US);
  }

  /** Another transport carries DATA, or the path is another. */
  reset(nowUs: TimeUs): void {
    this.due = false;
    this.#fromUs = nowUs + GRACE_US;
    this.#lost = 0;
    this.#acked = 0;
    this.#notBeforeUs = Number.NEGATIVE_INFINITY;
    this.#intervalUs = INTERVAL_FIRST_US;
    this.#heavySinceUs = Number.POSITIVE_INFINITY;
  }

  #nextPeriod(nowUs: TimeUs): void {
    const heavy = this.#lost >= LOST_MIN && this.#lost >= HEAVY_SHARE * (this.#lost + this.#acked);
    if (!heavy) this.#heavySinceUs = Number.POSITIVE_INFINITY;
    else this.#heavySinceUs = Math.min(this.#heavySinceUs, this.#periodUs);
    this.#periodUs = nowUs;
    this.#lost = 0;
    this.#acked = 0;
  }
}
