/**
 * What follows when DATA goes unanswered (or a canary is missed, or an ICMP error came): HELLOs by every transport, side
 * by side, small and full-size, until they tell which of them carry. They come fast for about a second; when nothing at
 * all answers they grow seldom, since then the link is down and no transport is to blame.
 */
import { MS, SECOND, type TimeUs } from "../core/time.ts";
import { survives } from "./evidence.ts";
import type { Outbox } from "./outbox.ts";
import type { Rung } from "./rung.ts";
import type { HelloKind } from "./sent.ts";

const TICK_US = 50 * MS;
/** How long ticks come fast: this, and two round trips. */
const FAST_US = SECOND;
/** Full-size HELLOs go with the first ticks, then with every second one, no more than these. */
const FULL_TICKS_DENSE = 3;
const FULL_TICKS_END = 12;
const SLOW_FIRST_US = 100 * MS;
const SLOW_MAX_US = 5 * SECOND;
/** A sign of life makes ticks fast again, no more often than this. */
const REVIVE_MIN_US = 2 * SECOND;
/** Seen of the current transport, it carries after all. */
const SMALL_SEEN_MIN = 2;
const FULL_SEEN_MIN = 1;
/** The others have had so many round trips to answer, within these limits: TCP is worth connecting. */
const ALONE_RTTS = 1.5;
const ALONE_MIN_US = 60 * MS;
const ALONE_MAX_US = 150 * MS;

export type SuspicionVerdict =
  | { readonly tag: "cleared" }
  | {
      readonly tag: "switch";
      readonly to: Rung;
      readonly cause: "silent" | "large packets lost" | "answered";
    };

export class Suspicion {
  readonly tag = "suspicion";
  readonly sinceUs: TimeUs;
  /** From when on `alone` may be true. */
  readonly aloneUs: TimeUs;
  readonly #rungs: readonly Rung[];
  readonly #current: Rung | null;
  readonly #fastForUs: number;
  #fastSinceUs: TimeUs;
  #nextUs: TimeUs;
  #intervalUs = SLOW_FIRST_US;
  #ticks = 0;
  #dataHeard = false;

  /**
   * @param rungs - best first
   * @param current - what carries DATA; null: nothing does, and the first that answers shall
   */
  constructor(nowUs: TimeUs, rungs: readonly Rung[], current: Rung | null, rttUs: number) {
    this.sinceUs = nowUs;
    this.aloneUs = nowUs + Math.min(Math.max(ALONE_RTTS * rttUs, ALONE_MIN_US), ALONE_MAX_US);
    this.#rungs = rungs;
    this.#current = current;
    this.#fastForUs = FAST_US + 2 * rttUs;
    this.#fastSinceUs = nowUs;
    this.#nextUs = nowUs;
  }

  deadlineUs(): TimeUs {
    return this.#nextUs;
  }

  /** DATA is acknowledged again: small packets at least go through. */
  heard(): void {
    this.#dataHeard = true;
  }

  /** A transport has become usable: let it speak now. */
  hasten(nowUs: TimeUs): void {
    this.#nextUs = nowUs;
  }

  /** No other transport has answered for so long that another should be opened. */
  alone(nowUs: TimeUs): boolean {
    if (nowUs < this.aloneUs) return false;
    return this.#rungs.every((rung) => rung.sent.lastSeenUs < this.#fastSinceUs);
  }

  advance(nowUs: TimeUs, outbox: Outbox): void {
    if (!this.#fast(nowUs) && this.#showsLife(nowUs)) this.#revive(nowUs);
    if (nowUs < this.#nextUs) return;
    const full = this.#ticks < FULL_TICKS_DENSE || this.#ticks % 2 === 0;
    for (const rung of this.#rungs) {
      if (!rung.maySend(nowUs)) continue;
      outbox.send(rung, false, true);
      if (full && this.#ticks < FULL_TICKS_END && rung.proven) outbox.send(rung, true, false);
    }
    this.#ticks += 1;
    this.#nextUs = nowUs + (this.#fast(nowUs) ? TICK_US : this.#intervalUs);
    if (!this.#fast(nowUs)) this.#intervalUs = Math.min(2 * this.#intervalUs, SLOW_MAX_US);
  }

  judge(nowUs: TimeUs): SuspicionVerdict | null {
    const current = this.#current;
    if (current === null) return this.#firstAnswer(nowUs);
    const carries = current.sent.tally(this.#fastSinceUs, nowUs, "small").seen;
    const to = this.#survivor(nowUs, carries === 0 ? "any" : "full", current);
    if (to !== null) {
      return { tag: "switch", to, cause: carries === 0 ? "silent" : "large packets lost" };
    }
    const whole = current.sent.tally(this.#fastSinceUs, nowUs, "full").seen >= FULL_SEEN_MIN;
    if (carries >= SMALL_SEEN_MIN && whole) return { tag: "cleared" };
    // Full-size messages are lost by all of them alike, or DATA is acknowledged: no transport is to blame.
    if (!this.#fast(nowUs) && (carries > 0 || this.#dataHeard)) return { tag: "cleared" };
    return null;
  }

  /** The best transport that carries what the current one does not. */
  #survivor(nowUs: TimeUs, kind: HelloKind, current: Rung): Rung | null {
    for (const rung of this.#preferred(nowUs)) {
      if (rung === current || !rung.mayCarry(nowUs)) continue;
      if (survives(rung, current, this.sinceUs, nowUs, kind)) return rung;
      // It answers too, a little later perhaps: do not go by it.
      if (rung.sent.tally(this.#fastSinceUs, nowUs, kind).seen > 0) return null;
    }
    return null;
  }

  #firstAnswer(nowUs: TimeUs): SuspicionVerdict | null {
    const to = this.#preferred(nowUs).find(
      (rung) => rung.mayCarry(nowUs) && rung.sent.lastSeenUs >= this.sinceUs,
    );
    return to === undefined ? null : { tag: "switch", to, cause: "answered" };
  }

  /** Best first; those that have failed lately behind the others. */
  #preferred(nowUs: TimeUs): Rung[] {
    const waits = (rung: Rung) => (rung.retry.waits(nowUs) ? 1 : 0);
    return [...this.#rungs].sort((a, b) => waits(a) - waits(b) || a.rank - b.rank);
  }

  #fast(nowUs: TimeUs): boolean {
    return nowUs < this.#fastSinceUs + this.#fastForUs;
  }

  /** Something was seen that was sent since ticks became slow. */
  #showsLife(nowUs: TimeUs): boolean {
    if (nowUs < this.#fastSinceUs + REVIVE_MIN_US) return false;
    const slowUs = this.#fastSinceUs + this.#fastForUs;
    return this.#rungs.some((rung) => rung.sent.lastSeenUs >= slowUs);
  }

  #revive(nowUs: TimeUs): void {
    this.#fastSinceUs = nowUs;
    this.#nextUs = nowUs;
    this.#intervalUs = SLOW_FIRST_US;
    this.#ticks = 0;
  }
}
