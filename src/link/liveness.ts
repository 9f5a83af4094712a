/**
 * When a link is doubted, given up and probed: keeps its life (`life.ts`) from what is sent and what is
 * answered, and the times of both. Sends nothing itself: `due` says what is to be done.
 *
 *   answered ----- the time an answer takes ----> doubted, probed --- three probe timeouts ---> silent
 */
import type { Rtt } from "../cc/rtt.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { Damping } from "./damping.ts";
import { type Life, type LifeEvent, type LifeTerms, nextLife, silenceLimitUs } from "./life.ts";
import { FEEDBACK_DELAY_MAX_US } from "./receipts.ts";

/** No link is doubted sooner: a pause of either process is no fault of the path. */
const DOUBT_MIN_US = 20 * MS;
/** Nor before so many reports are missing, as often as they lately came. */
const DOUBT_REPORTS = 3;
/** However much answers vary, one is not waited for by more than this beyond the usual: copies are worth most when young. */
const DOUBT_DEVIATION_MAX_US = 200 * MS;
/** Nor for less than this beyond what an answer takes: timers and wake-ups at both ends. */
const DOUBT_SLACK_US = 5 * MS;
/**
 * Who looks later than this was held up himself, and answers may be waiting unread: they get as long again. A process that was
 * stopped for a minute must not find all its links dead.
 */
const LATE_US = 5 * MS;
/** Probes of a suspect link come twice a round trip, and no denser. */
const SUSPECT_PROBE_MIN_US = 20 * MS;
/** An idle link's silence is known within this while the bond carries traffic, and also when nothing flows unless it is told otherwise. */
export const KEEPALIVE_US = 1 * SECOND;
/** Idle links are probed no oftener than this, and at least so often while the bond carries traffic. */
const PROBE_IDLE_MIN_US = 200 * MS;
const PROBE_ACTIVE_MAX_US = 500 * MS;
/**
 * Who proves himself may miss two of the probes that come each tenth of a second: a path that loses one in a
 * hundred would else be kept out for minutes.
 */
const PROVING_PATIENCE_US = 350 * MS;
/** Traffic within this time counts as flowing. */
const ACTIVE_US = 5 * SECOND;

export type Due = "nothing" | "probe" | "silent";

/** What the sender knows of answers; times in microseconds. */
export interface Answers {
  readonly rtt: Rtt;
  /** How long the peer lately held a report back, at the most. */
  readonly answerHeldUs: number;
  /** When the oldest packet in flight was sent; Infinity: there is none. */
  readonly oldestSentUs: TimeUs;
}

export class Liveness {
  life: Life = { tag: "connecting", sinceUs: 0 };
  /** New packets may go here: it is up, or suspect and the best there is. */
  carries = false;
  /** When the bond last carried an inner packet, on whichever link. */
  activeUs: TimeUs = Number.NEGATIVE_INFINITY;
  /** Since when packets have been unanswered; Infinity: all is answered, or the link is not up. */
  waitingSinceUs: TimeUs = NEVER;
  /** How often the link was doubted, and how often it went down. */
  doubts = 0;
  downs = 0;
  readonly #answers: Answers;
  readonly #keepaliveUs: number;
  readonly #damping = new Damping();
  readonly #terms: { -readonly [K in keyof LifeTerms]: LifeTerms[K] } = {
    ...{ probeUs: SUSPECT_PROBE_MIN_US, holdUs: 0, patienceUs: 0, needed: false },
  };
  #lastSentUs: TimeUs = Number.NEGATIVE_INFINITY;
  #graceUntilUs: TimeUs = Number.NEGATIVE_INFINITY;

  /** @param keepaliveUs - the link's silence is to be known within this when nothing flows on the bond */
  constructor(answers: Answers, keepaliveUs = KEEPALIVE_US) {
    this.#answers = answers;
    this.#keepaliveUs = keepaliveUs;
  }

  /** No link of the bond is up: a suspect one goes on, and a returning one is not kept waiting. */
  set needed(needed: boolean) {
    if (needed === this.#terms.needed) return;
    this.#terms.needed = needed;
    this.#judge();
  }

  /** Down, and not asked: its device, address or route is gone. */
  get useless(): boolean {
    return this.life.tag === "down" && this.life.nextProbeUs === NEVER;
  }

  get alive(): boolean {
    return this.life.tag === "up" || this.life.tag === "suspect";
  }

  /** Without any answer for so long, a link on which one is overdue is doubted; microseconds. */
  get missingUs(): number {
    return Math.max(DOUBT_REPORTS * this.#answers.answerHeldUs, DOUBT_MIN_US);
  }

  attached(nowUs: TimeUs): void {
    this.probeSoon();
    this.#transition("attached", nowUs);
  }

  detached(nowUs: TimeUs): void {
    this.waitingSinceUs = NEVER;
    this.#transition("detached", nowUs);
  }

  /** A probe is due at once, and then as usual. */
  probeSoon(): void {
    this.#lastSentUs = Number.NEGATIVE_INFINITY;
  }

  /** A packet left, or would have if it could. */
  sent(nowUs: TimeUs): void {
    this.#lastSentUs = nowUs;
    if (this.waitingSinceUs === NEVER) this.waitingSinceUs = nowUs;
  }

  /** A probe could not leave now: the next is due an interval later, not at once. */
  postponed(nowUs: TimeUs): void {
    this.#lastSentUs = nowUs;
  }

  /** Something new was acknowledged; `idle`: and nothing is left to be. */
  answered(nowUs: TimeUs, idle: boolean): void {
    this.waitingSinceUs = idle ? NEVER : nowUs;
    if (this.life.tag !== "up") this.#transition("heard", nowUs);
  }

  /** The peer misses answers of its own on what both directions share. */
  doubted(nowUs: TimeUs): void {
    if (this.life.tag === "up") this.#doubt(nowUs);
  }

  /** What was sent is given up and waited for no more. */
  forgotten(): void {
    this.waitingSinceUs = NEVER;
  }

  recarried(nowUs: TimeUs): void {
    this.#transition("recarried", nowUs);
    this.probeSoon();
  }

  unusable(nowUs: TimeUs): void {
    this.#goDown("unusable", nowUs);
  }

  restored(nowUs: TimeUs): void {
    this.#transition("restored", nowUs);
  }

  /** What is to be done now. "probe": counts as sent only when `sent` is called. */
  due(nowUs: TimeUs): Due {
    const { life } = this;
    if (this.#isLate(nowUs)) return "nothing";
    switch (life.tag) {
      case "connecting":
        return "nothing";
      case "down":
        return this.#probeDue(life.nextProbeUs, nowUs);
      case "suspect":
        if (this.#silentUs() <= nowUs) return this.#goDown("silent", nowUs);
        return this.#probeDue(life.nextProbeUs, nowUs);
      default:
        return this.#dueUp(nowUs);
    }
  }

  /** When `due` may have something to say. */
  deadlineUs(nowUs: TimeUs): TimeUs {
    return Math.max(this.#dueUs(nowUs), this.#graceUntilUs);
  }

  #dueUs(nowUs: TimeUs): TimeUs {
    const { life } = this;
    if (life.tag === "connecting") return NEVER;
    if (life.tag === "down") return life.nextProbeUs;
    if (life.tag === "suspect") return Math.min(life.nextProbeUs, this.#silentUs());
    if (this.waitingSinceUs === NEVER) return this.#idleProbeUs(nowUs);
    return Math.min(this.#doubtUs(), this.#silentUs());
  }

  /** An answer is overdue, but nobody has looked for it in time. */
  #isLate(nowUs: TimeUs): boolean {
    if (this.waitingSinceUs === NEVER || !this.alive) return false;
    const dueUs = this.#dueUs(nowUs);
    if (nowUs - dueUs <= LATE_US) return false;
    if (this.#graceUntilUs < dueUs) this.#graceUntilUs = nowUs + LATE_US;
    return nowUs < this.#graceUntilUs;
  }

  #dueUp(nowUs: TimeUs): Due {
    if (this.waitingSinceUs === NEVER) {
      return this.#idleProbeUs(nowUs) <= nowUs ? "probe" : "nothing";
    }
    if (this.#silentUs() <= nowUs) return this.#goDown("silent", nowUs);
    if (this.#doubtUs() > nowUs) return "nothing";
    this.#doubt(nowUs);
    return this.#probeDue(nowUs, nowUs);
  }

  #doubt(nowUs: TimeUs): void {
    this.doubts += 1;
    this.#terms.probeUs = Math.max(this.#answers.rtt.srttUs / 2, SUSPECT_PROBE_MIN_US);
    this.#transition("doubted", nowUs);
  }

  #probeDue(probeUs: TimeUs, nowUs: TimeUs): Due {
    if (probeUs > nowUs) return "nothing";
    this.#transition("probed", nowUs);
    return "probe";
  }

  #goDown(event: "silent" | "unusable", nowUs: TimeUs): Due {
    const { life } = this;
    if (life.tag === "up" || life.tag === "suspect") {
      this.downs += 1;
      this.#damping.down(nowUs, life.tag === "up" ? life.sinceUs : life.upSinceUs);
      this.#terms.holdUs = this.#damping.holdUs;
    }
    this.waitingSinceUs = NEVER;
    this.#transition(event, nowUs);
    return "silent";
  }

  /**
   * An answer is overdue: to the oldest packet in flight, by the probe timeout of RFC 9002 section 6.2.1 with the delay
   * that the peer really has; and no other has come for a while.
   */
  #doubtUs(): TimeUs {
    const { rtt, answerHeldUs, oldestSentUs } = this.#answers;
    const sentUs = Math.min(oldestSentUs, this.waitingSinceUs);
    const ptoUs = Math.min(rtt.ptoUs(0), rtt.srttUs + DOUBT_DEVIATION_MAX_US);
    const overdueUs = sentUs + ptoUs + answerHeldUs + DOUBT_SLACK_US;
    return Math.max(overdueUs, this.waitingSinceUs + this.missingUs);
  }

  #silentUs(): TimeUs {
    return this.waitingSinceUs + this.#silenceUs();
  }

  #silenceUs(): number {
    const { rtt } = this.#answers;
    const srttUs = rtt.hasSample ? rtt.srttUs : 0;
    return silenceLimitUs(rtt.ptoUs(FEEDBACK_DELAY_MAX_US), srttUs);
  }

  #idleProbeUs(nowUs: TimeUs): TimeUs {
    const active = nowUs - this.activeUs < ACTIVE_US;
    const knownUs = active ? KEEPALIVE_US : this.#keepaliveUs;
    const intervalUs = Math.max(knownUs - this.#silenceUs(), PROBE_IDLE_MIN_US);
    return this.#lastSentUs + (active ? Math.min(intervalUs, PROBE_ACTIVE_MAX_US) : intervalUs);
  }

  #transition(event: LifeEvent, nowUs: TimeUs): void {
    this.#terms.patienceUs = Math.max(this.#silenceUs(), PROVING_PATIENCE_US);
    this.life = nextLife(this.life, event, nowUs, this.#terms);
    this.#judge();
  }

  #judge(): void {
    const { tag } = this.life;
    this.carries = tag === "up" || (tag === "suspect" && this.#terms.needed);
  }
}
