/**
 * Compares the loss of two transports: pairs of full-size HELLOs, one by this, one by that, so that both meet the same
 * queue. What they lose alike is the path's; what one loses more is done to that transport.
 */
import { MS, type TimeUs } from "../core/time.ts";
import type { Outbox } from "./outbox.ts";
import type { Rung } from "./rung.ts";
import type { SwitchCause } from "./status.ts";

/**
 * 24 messages by each: enough to tell 40 % from none, and fewer than the numbers that one report can tell of. Spread over
 * 0.2 s, since of a burst an emptied token bucket would take nothing at all: 1.5 Mbit/s by each for that long.
 */
const PAIRS = 24;
const PAIR_SPACING_US = 8 * MS;
/** With every so manieth pair goes a small one by the subject, and the peer is asked. */
const SMALL_EVERY = 4;
const ASK_EVERY = 8;
const CLOSING_ASKS = 3;
const CLOSING_SPACING_US = 60 * MS;
/** A difference that chance makes once in 4000 comparisons (two proportions, pooled). */
const Z_WORSE = 3.5;
/** One that is worth another comparison at once, so many times. */
const Z_SUSPECT = 2;
const REPEATS_MAX = 4;
/** Together they lean to one side: the next one need not wait longer. */
const Z_LEANING = 1;
/** The difference must be worth a switch: to UDP two percentage points, to TCP twenty. */
const DIFFERENCE_MIN = 0.02;
const DIFFERENCE_TCP_MIN = 0.2;
/** Older comparisons count for half when as many messages have been compared. */
const KEPT_MAX = 1000;
/** A policer goes by octets: it takes bursts of full-size messages and lets small ones through. */
const POLICED_LOSS_MIN = 0.25;
const SMALL_PASS_MIN = 0.6;

/** What two transports lost side by side. */
export interface Losses {
  /** By each of them. */
  sent: number;
  subjectLost: number;
  referenceLost: number;
}

export type ComparisonVerdict =
  /** `leaning`: not quite. */
  | { readonly tag: "alike"; readonly leaning: boolean }
  | {
      readonly tag: "worse";
      readonly cause: Extract<SwitchCause, "loss" | "policed" | "large packets lost">;
    };

export class Comparison {
  readonly tag = "comparison";
  readonly subject: Rung;
  readonly reference: Rung;
  readonly #waitUs: number;
  readonly #before: Losses;
  #sinceUs: TimeUs;
  #nextUs: TimeUs;
  #endUs = 0;
  #steps = 0;
  #repeats = 0;

  /**
   * @param before - earlier comparisons of the two; this one is added
   * @param waitUs - how long after the last HELLO reports are waited for
   */
  constructor(nowUs: TimeUs, subject: Rung, reference: Rung, before: Losses, waitUs: number) {
    this.subject = subject;
    this.reference = reference;
    this.#before = before;
    this.#waitUs = waitUs;
    this.#sinceUs = nowUs;
    this.#nextUs = nowUs;
    this.#begin(nowUs);
  }

  deadlineUs(): TimeUs {
    return Math.min(this.#nextUs, this.#endUs);
  }

  advance(nowUs: TimeUs, outbox: Outbox): void {
    if (nowUs < this.#nextUs) return;
    this.#steps += 1;
    if (this.#steps <= PAIRS) this.#sendPair(outbox);
    else {
      outbox.send(this.subject, false, true);
      outbox.send(this.reference, false, true);
    }
    const spacingUs = this.#steps < PAIRS ? PAIR_SPACING_US : CLOSING_SPACING_US;
    const more = this.#steps < PAIRS + CLOSING_ASKS;
    this.#nextUs = more ? nowUs + spacingUs : Number.POSITIVE_INFINITY;
  }

  judge(nowUs: TimeUs): ComparisonVerdict | null {
    const subject = this.subject.sent.tally(this.#sinceUs, nowUs, "full");
    const reference = this.reference.sent.tally(this.#sinceUs, nowUs, "full");
    const allSeen = subject.seen >= PAIRS && reference.seen >= PAIRS;
    if (nowUs < this.#endUs && !allSeen) return null;
    const sent = Math.min(subject.sent, reference.sent);
    const now = {
      sent,
      subjectLost: subject.sent - subject.seen,
      referenceLost: reference.sent - reference.seen,
    };
    addTo(this.#before, now);
    if (this.#worse(now) || this.#worse(this.#before)) {
      return { tag: "worse", cause: this.#cause(nowUs, now) };
    }
    const suspect = zOf(now) >= Z_SUSPECT && this.#repeats < REPEATS_MAX;
    if (!suspect) return { tag: "alike", leaning: zOf(this.#before) >= Z_LEANING };
    this.#repeats += 1;
    this.#begin(nowUs);
    return null;
  }

  #begin(nowUs: TimeUs): void {
    this.#sinceUs = nowUs;
    this.#nextUs = nowUs;
    this.#endUs = nowUs + (PAIRS - 1) * PAIR_SPACING_US + this.#waitUs;
    this.#steps = 0;
  }

  /** Who goes first changes from pair to pair, so that neither always has the better place in a queue. */
  #sendPair(outbox: Outbox): void {
    if (this.#steps % SMALL_EVERY === 0) outbox.send(this.subject, false, false);
    const order = [this.subject, this.reference];
    if (this.#steps % 2 === 1) order.reverse();
    for (const rung of order) outbox.send(rung, true, this.#steps % ASK_EVERY === 0);
  }

  #worse(losses: Losses): boolean {
    const minimum = this.reference.transport === "tcp" ? DIFFERENCE_TCP_MIN : DIFFERENCE_MIN;
    const difference = losses.subjectLost - losses.referenceLost;
    return zOf(losses) >= Z_WORSE && difference >= minimum * losses.sent;
  }

  #cause(nowUs: TimeUs, losses: Losses): "loss" | "policed" | "large packets lost" {
    const small = this.subject.sent.tally(this.#sinceUs, nowUs, "small");
    const lost = losses.subjectLost / Math.max(losses.sent, 1);
    if (small.seen < SMALL_PASS_MIN * small.sent || lost < POLICED_LOSS_MIN) return "loss";
    return lost === 1 ? "large packets lost" : "policed";
  }
}

function addTo(total: Losses, now: Losses): void {
  const weight = total.sent > KEPT_MAX ? 0.5 : 1;
  total.sent = weight * total.sent + now.sent;
  total.subjectLost = weight * total.subjectLost + now.subjectLost;
  total.referenceLost = weight * total.referenceLost + now.referenceLost;
}

/** How many standard deviations the subject's share of losses is above the reference's. */
function zOf({ sent, subjectLost, referenceLost }: Losses): number {
  if (sent === 0) return 0;
  const pooled = (subjectLost + referenceLost) / (2 * sent);
  if (pooled === 0 || pooled >= 1) return 0;
  return (subjectLost - referenceLost) / sent / Math.sqrt((2 * pooled * (1 - pooled)) / sent);
}
