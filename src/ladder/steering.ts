/**
 * What carries DATA, and what is under way to find out whether that is right: at most one task at a time, a trial of a
 * better transport, a suspicion against the current one, or a comparison of two. Nothing here moves DATA without a
 * report of the peer, except when the current transport itself is gone.
 */
import { MS, SECOND, type TimeUs } from "../core/time.ts";
import { Carried } from "./carried.ts";
import { Comparison, type Losses } from "./comparison.ts";
import { fallsBehind, seenLately } from "./evidence.ts";
import { LossWatch } from "./loss-watch.ts";
import type { Outbox } from "./outbox.ts";
import type { Rung } from "./rung.ts";
import type { SwitchCause } from "./status.ts";
import { Suspicion } from "./suspicion.ts";
import { Trial } from "./trial.ts";

/** A report is waited for three round trips, within these. */
const WAIT_MIN_US = 300 * MS;
const WAIT_MAX_US = 2 * SECOND;
/** Round trip reckoned with before the first sample (RFC 9002 section 6.2.2). */
const INITIAL_RTT_US = 333 * MS;
const RTT_WEIGHT = 1 / 8;
/** ICMP errors and missed canaries begin a suspicion no more often than this. */
const DOUBT_INTERVAL_US = 5 * SECOND;
/** Fewer refused messages during a task are no sign of mangling. */
const MANGLED_MIN = 3;

type Task = Trial | Suspicion | Comparison;

export class Steering {
  /** Best first. */
  readonly rungs: readonly Rung[];
  readonly carried = new Carried();
  /** The session has attached the link at least once: messages can be sealed. */
  begun = false;
  /** Smoothed, of HELLOs that ask; 0: no sample yet. */
  rttUs = 0;
  /** As the peer said last, 16 bits. */
  peerBadTags = 0;
  readonly watch = new LossWatch();
  #task: Task | null = null;
  #taskBadTags = 0;
  #compared: { subject: Rung; reference: Rung; losses: Losses } | null = null;
  /** The current transport has not been tried with full-size messages on this path. */
  #unproved = true;
  #doubtUs: TimeUs = Number.NEGATIVE_INFINITY;

  constructor(rungs: readonly Rung[]) {
    this.rungs = rungs;
  }

  /** A round trip of a HELLO that asked. */
  sampleRtt(sampleUs: number): void {
    if (this.rttUs === 0) this.rttUs = sampleUs;
    else this.rttUs += (sampleUs - this.rttUs) * RTT_WEIGHT;
  }

  /** What carries DATA; null: nothing. */
  get current(): Rung | null {
    return this.carried.by;
  }

  /** `rung` carries DATA from now on. */
  carry(nowUs: TimeUs, rung: Rung, cause: SwitchCause): void {
    this.carried.change(nowUs, rung, cause);
    this.#unproved = cause !== "trial passed";
    this.#forgetLoss(nowUs);
    this.#task = null;
  }

  /** The current transport can carry no more: the best of the others does, or none until one answers. */
  leave(nowUs: TimeUs, cause: "closed" | "not heard" | "address changed"): void {
    const left = this.current;
    const others = this.rungs.filter((rung) => rung !== left && rung.mayCarry(nowUs));
    const to = others.find((rung) => seenLately(rung, nowUs) && !rung.retry.waits(nowUs));
    const next = to ?? others[0];
    if (next !== undefined) {
      this.carry(nowUs, next, cause);
      return;
    }
    this.carried.drop(nowUs);
    this.suspect(nowUs);
  }

  /** DATA goes unanswered, or nothing carries it: ask by all transports. */
  suspect(nowUs: TimeUs): void {
    if (!this.begun) return;
    this.#begin(new Suspicion(nowUs, this.rungs, this.current, this.rttUs || INITIAL_RTT_US));
  }

  /** A hint that proves nothing: ask by all transports, but seldom, and not in the midst of something. */
  doubt(nowUs: TimeUs): void {
    if (this.#task !== null || nowUs - this.#doubtUs < DOUBT_INTERVAL_US) return;
    this.#doubtUs = nowUs;
    this.suspect(nowUs);
  }

  /** DATA is acknowledged. */
  heard(): void {
    if (this.#task?.tag === "suspicion") this.#task.heard();
  }

  /** A transport has become usable, or may be spoken by again. */
  opened(nowUs: TimeUs): void {
    if (this.#task?.tag === "suspicion") this.#task.hasten(nowUs);
    else if (this.current === null) this.suspect(nowUs);
  }

  /** All that is known of failures belongs to another path. */
  pathChanged(nowUs: TimeUs): void {
    for (const rung of this.rungs) rung.retry.reset();
    this.carried.damping.reset();
    this.#forgetLoss(nowUs);
    this.#unproved = true;
    if (this.#task?.tag !== "suspicion") this.#task = null;
  }

  /** Local: nothing but TCP is left to try. */
  needsMore(nowUs: TimeUs): boolean {
    if (this.#task?.tag === "suspicion" && this.#task.alone(nowUs)) return true;
    return this.watch.heavy(nowUs) && this.current !== null && this.#reference() === null;
  }

  /** Moves the task on, acts on its verdict, begins the next one. */
  advance(nowUs: TimeUs, outbox: Outbox): void {
    if (!this.begun) return;
    const { current } = this;
    if (current !== null && !current.mayCarry(nowUs)) {
      this.leave(nowUs, current.proven ? "not heard" : "address changed");
    }
    this.#task?.advance(nowUs, outbox);
    this.#judge(nowUs);
    if (this.#task !== null) return;
    this.#next(nowUs);
    (this.#task as Task | null)?.advance(nowUs, outbox);
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    if (!this.begun) return Number.POSITIVE_INFINITY;
    const { current } = this;
    const heardUs = current?.silentFromUs ?? Number.POSITIVE_INFINITY;
    if (this.#task === null) return Math.min(heardUs, this.#climbUs(nowUs));
    const aloneUs = this.#task.tag === "suspicion" ? this.#task.aloneUs : 0;
    const moreUs = aloneUs > nowUs ? aloneUs : Number.POSITIVE_INFINITY;
    return Math.min(heardUs, moreUs, this.#task.deadlineUs());
  }

  #begin(task: Task): void {
    this.#task = task;
    this.#taskBadTags = this.peerBadTags;
  }

  #judge(nowUs: TimeUs): void {
    const task = this.#task;
    if (task?.tag === "trial") this.#judgeTrial(nowUs, task);
    if (task?.tag === "comparison") this.#judgeComparison(nowUs, task);
    if (task?.tag === "suspicion") this.#judgeSuspicion(nowUs, task);
  }

  #judgeSuspicion(nowUs: TimeUs, suspicion: Suspicion): void {
    const verdict = suspicion.judge(nowUs);
    if (verdict === null) return;
    this.#task = null;
    if (verdict.tag === "cleared") return;
    if (verdict.cause === "answered") this.carry(nowUs, verdict.to, verdict.cause);
    else this.#abandon(nowUs, verdict.to, verdict.cause);
  }

  #judgeTrial(nowUs: TimeUs, trial: Trial): void {
    const { subject } = trial;
    const own = subject === this.current;
    const verdict = subject.maySpeak(nowUs) ? trial.judge(nowUs) : "blocked";
    if (verdict === null) return;
    this.#task = null;
    if (own) this.#unproved = false;
    if (verdict === "passed" && own) return;
    const reference = own ? this.#reference() : this.current;
    const compare = reference !== null && (own || verdict === "doubtful");
    if (verdict === "passed") this.#climb(nowUs, subject);
    else if (compare) this.#compare(nowUs, subject, reference);
    else this.#fail(nowUs, subject, verdict === "blocked");
  }

  #judgeComparison(nowUs: TimeUs, comparison: Comparison): void {
    const { subject, reference } = comparison;
    const verdict = comparison.judge(nowUs);
    if (verdict === null) return;
    this.#task = null;
    const own = subject === this.current;
    if (!own && verdict.tag === "alike") this.#climb(nowUs, subject);
    else if (!own) this.#fail(nowUs, subject, false);
    else if (verdict.tag === "alike") this.watch.alike(nowUs, verdict.leaning);
    else if (reference.mayCarry(nowUs)) this.#abandon(nowUs, reference, verdict.cause);
    else this.watch.alike(nowUs, false);
  }

  #climb(nowUs: TimeUs, rung: Rung): void {
    if (rung.mayCarry(nowUs)) {
      rung.retry.passed(nowUs);
      this.carry(nowUs, rung, "trial passed");
    } else this.#fail(nowUs, rung, true);
  }

  /** The current transport has failed by the peer's report. */
  #abandon(
    nowUs: TimeUs,
    to: Rung,
    cause: "silent" | "loss" | "policed" | "large packets lost",
  ): void {
    const refused = (this.peerBadTags - this.#taskBadTags) & 0xffff;
    const mangled = refused >= MANGLED_MIN;
    const left = this.current;
    if (left !== null) this.#fail(nowUs, left, cause === "silent" && !mangled);
    this.carry(nowUs, to, mangled ? "mangled" : cause);
  }

  #fail(nowUs: TimeUs, rung: Rung, blocked: boolean): void {
    rung.retry.failed(nowUs, blocked ? "blocked" : "deliberate");
    rung.stop(nowUs);
  }

  /** Begins what is due, the most urgent first. */
  #next(nowUs: TimeUs): void {
    const { current } = this;
    if (current === null) return;
    const others = this.rungs.filter((rung) => rung !== current && rung.usable);
    if (others.length > 0 && fallsBehind(current, others, nowUs, this.#waitUs())) this.doubt(nowUs);
    if (this.#task !== null) return;
    const reference = this.#reference();
    const better = this.rungs.find((rung) => this.#mayClimbUs(rung, nowUs) <= nowUs);
    if (this.watch.due && reference !== null) this.#compare(nowUs, current, reference);
    else if (better !== undefined) this.#begin(new Trial(nowUs, better, current, this.#waitUs()));
    else if (this.#unproved && reference !== null) {
      this.#begin(new Trial(nowUs, current, reference, this.#waitUs()));
    }
  }

  /** When a trial of `rung` may begin; Infinity: not before something happens. */
  #mayClimbUs(rung: Rung, nowUs: TimeUs): TimeUs {
    if (this.current === null || rung.rank >= this.current.rank || !rung.maySend(nowUs)) {
      return Number.POSITIVE_INFINITY;
    }
    return Math.max(rung.retry.untilUs, this.carried.damping.pinnedUntilUs);
  }

  #climbUs(nowUs: TimeUs): TimeUs {
    return Math.min(...this.rungs.map((rung) => this.#mayClimbUs(rung, nowUs)));
  }

  /** What the current transport can be compared with: the next lower one that works, or might. */
  #reference(): Rung | null {
    const rank = this.current?.rank ?? this.rungs.length;
    return this.rungs.find((rung) => rung.rank > rank && rung.usable && rung.proven) ?? null;
  }

  #compare(nowUs: TimeUs, subject: Rung, reference: Rung): void {
    const known = this.#compared;
    const same = known !== null && known.subject === subject && known.reference === reference;
    const losses = same ? known.losses : { sent: 0, subjectLost: 0, referenceLost: 0 };
    this.#compared = { subject, reference, losses };
    this.#begin(new Comparison(nowUs, subject, reference, losses, this.#waitUs()));
  }

  #forgetLoss(nowUs: TimeUs): void {
    this.watch.reset(nowUs);
    this.#compared = null;
  }

  #waitUs(): number {
    const rttUs = this.rttUs || INITIAL_RTT_US;
    return Math.min(Math.max(3 * rttUs, WAIT_MIN_US), WAIT_MAX_US);
  }
}
