/**
 * The trial of one transport: does it carry anything, and does it carry full-size messages in bursts without losing
 * more than one? A few small HELLOs first, since a blocked transport is the usual case, then bursts of full-size ones.
 */
import { MS, type TimeUs } from "../core/time.ts";
import type { Outbox } from "./outbox.ts";
import type { Rung } from "./rung.ts";

const SMALL_COUNT = 4;
const SMALL_SPACING_US = 40 * MS;
/** 24 messages of 1400 octets in 0.2 s: 1.3 Mbit/s for that long, and bursts that a small token bucket cannot take. */
const BURSTS = 4;
const BURST_COUNT = 6;
const BURST_SPACING_US = 50 * MS;
const FULL_COUNT = BURSTS * BURST_COUNT;
/** One loss is chance; up to a half may be a lossy path, which a comparison must judge. */
const LOST_CHANCE = 1;
const LOST_DOUBTFUL = FULL_COUNT / 2;
/** A report may be lost: it is asked for again. */
const CLOSING_ASKS = 3;

export type TrialVerdict =
  /** It carries full-size messages. */
  | "passed"
  /** Nothing was seen. */
  | "blocked"
  /** Small messages are seen, of the full-size ones the half or less. */
  | "large packets lost"
  /** It loses some: compare it with the other. */
  | "doubtful";

export class Trial {
  readonly tag = "trial";
  readonly subject: Rung;
  readonly sinceUs: TimeUs;
  /** Carries reports when the subject does not. */
  readonly #reference: Rung | null;
  readonly #waitUs: number;
  #stage: "small" | "full" = "small";
  #steps = 0;
  #nextUs: TimeUs;
  #endUs: TimeUs;
  #fullUs: TimeUs = Number.POSITIVE_INFINITY;

  /** @param waitUs - how long after the last HELLO reports are waited for */
  constructor(nowUs: TimeUs, subject: Rung, reference: Rung | null, waitUs: number) {
    this.subject = subject;
    this.sinceUs = nowUs;
    this.#reference = reference;
    this.#waitUs = waitUs;
    this.#nextUs = nowUs;
    this.#endUs = nowUs + (SMALL_COUNT - 1) * SMALL_SPACING_US + waitUs;
  }

  deadlineUs(): TimeUs {
    return Math.min(this.#nextUs, this.#endUs);
  }

  /** Sends what is due. */
  advance(nowUs: TimeUs, outbox: Outbox): void {
    if (this.#stage === "small" && this.#seen(this.sinceUs, nowUs, "small") > 0) this.#grow(nowUs);
    if (nowUs < this.#nextUs) return;
    if (this.#stage === "small") this.#sendSmall(nowUs, outbox);
    else this.#sendBurst(nowUs, outbox);
  }

  judge(nowUs: TimeUs): TrialVerdict | null {
    const seen = this.#seen(this.#fullUs, nowUs, "full");
    if (seen >= FULL_COUNT - LOST_CHANCE) return "passed";
    if (nowUs < this.#endUs) return null;
    if (this.#stage === "small") return "blocked";
    return seen > LOST_DOUBTFUL ? "doubtful" : "large packets lost";
  }

  #seen(fromUs: TimeUs, nowUs: TimeUs, kind: "small" | "full"): number {
    return this.subject.sent.tally(fromUs, nowUs, kind).seen;
  }

  #grow(nowUs: TimeUs): void {
    this.#stage = "full";
    this.#steps = 0;
    this.#fullUs = nowUs;
    this.#nextUs = nowUs;
    this.#endUs = nowUs + (BURSTS - 1) * BURST_SPACING_US + this.#waitUs;
  }

  #sendSmall(nowUs: TimeUs, outbox: Outbox): void {
    outbox.send(this.subject, false, true);
    this.#steps += 1;
    this.#nextUs = this.#steps < SMALL_COUNT ? nowUs + SMALL_SPACING_US : Number.POSITIVE_INFINITY;
  }

  #sendBurst(nowUs: TimeUs, outbox: Outbox): void {
    const last = this.#steps >= BURSTS;
    if (last) {
      outbox.send(this.subject, false, true);
      if (this.#reference !== null) outbox.send(this.#reference, false, true);
    } else {
      for (let index = 1; index <= BURST_COUNT; index += 1) {
        outbox.send(this.subject, true, index === BURST_COUNT);
      }
    }
    this.#steps += 1;
    const more = this.#steps < BURSTS + CLOSING_ASKS;
    this.#nextUs = more ? nowUs + BURST_SPACING_US : Number.POSITIVE_INFINITY;
  }
}
