/**
 * Delay-target control, the default controller. The window is what the path delivered during the last
 *
 *   T = base round trip + d* + time that feedback is held back
 *
 * plus a small alpha, so that a queue of about d* stands at the bottleneck: enough to bridge jitter and timers, short
 * enough that nobody minds. The target-rate law of Copa (NSDI 2018), shifted by d*, on the receiver's clock.
 *
 *   start --capacity found--> run <--> drain        (path reset: start)
 *                              |
 *                              +--somebody else's queue--> compete, until a drain finds none
 *
 * Where the parts are: `delivered-curve` what arrived when; `path-delay` base, queue, jitter, d*; `start` when to leave
 * START; `growth` how fast alpha may be; `../drain` how a moment without our queue is had; `competition` and `rivalry` what
 * it tells and what follows; `jump` and `absence` hand-overs; `loss-response` policers and random loss.
 */
import type {
  AckInfo,
  CongestionController,
  Drain as DrainState,
  LossInfo,
  PathReset,
  SentInfo,
} from "../controller.ts";
import { Drain } from "../drain.ts";
import { Rounds } from "../rounds.ts";
import { Absence } from "./absence.ts";
import { DeliveredCurve } from "./delivered-curve.ts";
import { Growth } from "./growth.ts";
import { Jump } from "./jump.ts";
import { LossResponse } from "./loss-response.ts";
import { PathDelay } from "./path-delay.ts";
import { PathRate } from "./path-rate.ts";
import { Rivalry } from "./rivalry.ts";
import { Start } from "./start.ts";
import { Usage } from "./usage.ts";
import { Window } from "./window.ts";

/** Loose while the window doubles: see `NewReno`, and the trains that `Start` looks at. */
const START_PACING_GAIN = 4;
/** A little above window over round trip, so that the window stays the limit. */
const PACING_GAIN = 1.1;
const PACING_RTT_MIN_US = 500;
/** Weight of a feedback message in the smoothed time for which feedback is held back. */
const HELD_WEIGHT = 1 / 8;
/** A path that has become shorter by less is left to the law. */
const SHORTER_MIN_US = 8_000;
/** After START and drain the delivered curve contains their traces for a round trip. */
const FREEZE_SRTTS = 1.2;
/** Of the queue aimed for: a standing queue longer than so many of it is no accident of a burst. */
const BUSY_TARGETS = 2;
/** And these round trips more until the queue stands again: no jump may be seen in its return. */
const JUMP_REST_SRTTS = 3;
/** RFC 8511 section 4.2: a mark says less than a loss. */
const BETA_ECN = 0.85;

export class Dtc implements CongestionController {
  readonly name = "dtc";
  readonly answersMarks = true;
  readonly #mssBytes: number;
  readonly #curve = new DeliveredCurve();
  readonly #delay = new PathDelay();
  readonly #rate = new PathRate();
  readonly #usage = new Usage();
  readonly #window: Window;
  readonly #rounds = new Rounds();
  readonly #start = new Start();
  readonly #growth = new Growth();
  readonly #drain = new Drain();
  readonly #jump = new Jump();
  readonly #absence = new Absence();
  readonly #loss: LossResponse;
  readonly #rivalry: Rivalry;
  #starting = true;
  #srttUs = 0;
  /** How long the peer holds the oldest packet of a report, smoothed. */
  #heldUs = 0;
  #frozenUntilUs = Number.NEGATIVE_INFINITY;
  #marked = false;
  #lastSentUs = 0;

  constructor(mssBytes: number, options: { readonly compete: boolean }) {
    this.#mssBytes = mssBytes;
    this.#window = new Window(mssBytes);
    this.#loss = new LossResponse(this.#window.minBytes);
    this.#rivalry = new Rivalry(mssBytes, options.compete, this.#window);
  }

  get cwndBytes(): number {
    const { bytes, minBytes } = this.#window;
    const most = this.#drain.running ? this.#drain.windowBytes : Number.POSITIVE_INFINITY;
    return Math.max(Math.min(bytes, this.#loss.capBytes, most), minBytes);
  }

  get starting(): boolean {
    return this.#starting;
  }

  get phase(): string {
    if (this.#starting) return "start";
    if (this.#drain.running) return "drain";
    return this.#rivalry.active ? "compete" : "run";
  }

  get pacingRate(): number {
    if (this.#srttUs === 0) return Number.POSITIVE_INFINITY;
    if (this.#starting) {
      return (START_PACING_GAIN * this.cwndBytes) / Math.max(this.#srttUs, PACING_RTT_MIN_US);
    }
    const turnUs = this.#turnUs() + this.#heldUs;
    return (PACING_GAIN * this.cwndBytes) / Math.max(turnUs, PACING_RTT_MIN_US);
  }

  get drain(): DrainState {
    if (this.#drain.running) return "running";
    if (this.#starting) return "none";
    if (this.#rivalry.drainWanted && !this.#jump.suspected) return "due";
    return this.#delay.isStale(this.#lastSentUs) ? "due" : "none";
  }

  onSent(sent: SentInfo): void {
    const idleUs = sent.nowUs - this.#lastSentUs;
    this.#lastSentUs = sent.nowUs;
    if (sent.inFlightBytes === sent.bytes && this.#window.onIdle(idleUs)) this.#restart();
  }

  onAck(ack: AckInfo): void {
    this.#srttUs = ack.srttUs;
    this.#heldUs += (ack.heldUs - this.#heldUs) * HELD_WEIGHT;
    this.#curve.add(ack.receivedUs, ack.deliveredBytes, ack.largestSentUs);
    if (ack.fresh) this.#seeDelay(ack);
    this.#loss.onAcked(ack.ackedPackets);
    this.#usage.onAck(ack.nowUs, ack.inFlightBytes, this.cwndBytes, this.#starting);
    if (ack.ceCount > 0) this.#onMark(ack);
    if (this.#rounds.onAck(ack.nowUs, ack.largestSentUs)) this.#onRound(ack);
    if (this.#starting) this.#startAck(ack);
    else if (this.#drain.running) this.#drainAck(ack);
    else if (this.#rivalry.active) this.#rivalry.onAck(ack);
    else if (ack.nowUs >= this.#frozenUntilUs) this.#law(ack);
  }

  onLoss(loss: LossInfo): void {
    this.#loss.onLost(loss.lostPackets);
    this.#rivalry.onLoss(loss);
    if (this.#starting && this.#start.lost(this.#loss)) this.#leaveStart(loss.nowUs);
  }

  onSpuriousLoss(_nowUs: number, _packets: number): void {}

  onPathReset(nowUs: number, reason: PathReset): void {
    if (reason === "absence") this.#returned(nowUs);
    else this.#begin(reason === "rejoin");
  }

  beginDrain(nowUs: number): void {
    if (this.drain !== "due") return;
    this.#drain.begin(nowUs, this.#rate.last, this.#delay.restUs, this.#window.minBytes);
  }

  /** `resumes`: what the path carried before says something of what it will. */
  #begin(resumes: boolean): void {
    const { bytes } = this.#window;
    this.#window.begin();
    // A window that is more than an initial one is paced from its first packet on.
    if (!resumes) this.#srttUs = 0;
    this.#window.resume(resumes ? bytes : 0, !this.#starting);
    this.#curve.clear();
    this.#delay.reset();
    this.#loss.reset();
    this.#restart();
  }

  /** From an absence: the queue has run empty meanwhile, and the path may be longer or shorter. */
  #returned(nowUs: number): void {
    if (this.#starting) return;
    this.#frozenUntilUs = nowUs + FREEZE_SRTTS * this.#srttUs;
    this.#absence.begin(this.#delay.restUs, this.#frozenUntilUs);
    this.#delay.forget();
    this.#drain.cancel();
    this.#jump.reset();
    this.#growth.reset();
  }

  #restart(): void {
    this.#absence.reset();
    this.#starting = true;
    this.#start.reset();
    this.#drain.cancel();
    this.#growth.reset();
    this.#rivalry.reset();
    this.#jump.reset();
    this.#rate.reset();
  }

  #seeDelay(ack: AckInfo): void {
    const delay = this.#delay;
    const shorterUs = delay.onAck(ack);
    if (this.#absence.learning) {
      this.#stretch(this.#absence.longerUs(ack.nowUs, delay.restUs));
      return;
    }
    if (this.#starting || this.#rivalry.active) return;
    // What filled the longer path would now be a queue.
    if (shorterUs > SHORTER_MIN_US) this.#fit();
    const settledUs = this.#frozenUntilUs + JUMP_REST_SRTTS * ack.srttUs;
    if (ack.nowUs < settledUs || this.#drain.running) return;
    const longerUs = this.#jump.onAck({
      ...{ nowUs: ack.nowUs, sentUs: ack.largestSentUs },
      ...{ queueUs: delay.ackQueueUs, standingUs: delay.beforeUs },
      noiseUs: delay.jitterUs + 2 * this.#packetUs() + this.#rate.timeOf(this.#window.grownBytes),
    });
    if (longerUs === 0) return;
    delay.shift(longerUs, ack.nowUs);
    this.#stretch(longerUs);
  }

  /** The path holds more, or less, since it has become longer by so much. */
  #stretch(longerUs: number): void {
    if (longerUs < -SHORTER_MIN_US) this.#fit();
    if (longerUs <= 0 || this.#rivalry.active) return;
    this.#window.stretch(this.#rate.best * longerUs);
  }

  #startAck(ack: AckInfo): void {
    const delay = this.#delay;
    const full = this.#start.onAck(ack, this.#curve, this.#rounds.count, this.#mssBytes);
    const delayed = this.#start.delayed(delay.ackQueueUs, delay.restUs, delay.targetUs);
    if (full || delayed) {
      // The bursts of START queue before the window fills the path. What is missing is the next round's growth at most.
      if (this.#start.rate > 0) this.#window.bytes *= 2;
      this.#leaveStart(ack.nowUs);
    } else if (this.#usage.now && !this.#start.doubtful) this.#window.bytes += ack.ackedBytes;
  }

  #leaveStart(nowUs: number): void {
    this.#starting = false;
    if (this.#start.rate > 0) this.#rate.best = this.#start.rate;
    this.#fit();
    this.#frozenUntilUs = nowUs + FREEZE_SRTTS * this.#srttUs;
  }

  /** No more than fills the path as far as its rate is known. */
  #fit(): void {
    this.#window.fit(this.#rate.best * this.#spanUs());
  }

  #drainAck(ack: AckInfo): void {
    const delay = this.#delay;
    const toleranceUs = delay.toleranceUs + this.#packetUs();
    const end = this.#drain.onAck(ack, delay.ackQueueUs, delay.restUs, toleranceUs);
    if (end === "none") return;
    this.#frozenUntilUs = ack.nowUs + FREEZE_SRTTS * ack.srttUs;
    delay.baseSeenUs = ack.nowUs;
    const { minUs } = this.#drain;
    if (end === "empty") delay.settle(minUs, ack.nowUs);
    const competed = this.#rivalry.active;
    const found = this.#rivalry.onDrained({
      ...{ nowUs: ack.nowUs, queueUs: minUs, jitterUs: delay.jitterUs, empty: end === "empty" },
      expectedUs: delay.targetUs + this.#packetUs(),
    });
    if (found === "moved") delay.settle(minUs, ack.nowUs);
    if (found === "open") return;
    if (found === "rival" && !competed && this.#rivalry.active) this.#jump.reset();
    if (found === "rival") return;
    if (competed) this.#fit();
    this.#rivalry.active = false;
  }

  /** The round trip as it is, but for jitter. */
  #turnUs(): number {
    return this.#delay.restUs + this.#delay.queueUs;
  }

  #packetUs(): number {
    return this.#rate.timeOf(this.#mssBytes);
  }

  /** The queue that the law itself leaves. */
  #expectedUs(): number {
    return this.#delay.targetUs + this.#rate.timeOf(this.#alphaBytes());
  }

  /** T: the time within which a full window is delivered. */
  #spanUs(): number {
    return this.#delay.restUs + this.#delay.targetUs + this.#heldUs;
  }

  #law(ack: AckInfo): void {
    const delivered = this.#curve.deliveredWithin(this.#spanUs());
    if (delivered < 0) return;
    const { bytes } = this.#window;
    const change = (delivered + this.#alphaBytes() - bytes) * Math.min(1, ack.ackedBytes / bytes);
    if (change >= 0) {
      if (!this.#usage.now) return;
      this.#window.set(Math.min(bytes + Math.min(change, ack.ackedBytes), this.#loss.capBytes));
      return;
    }
    // Too little delivered, yet no queue: the sender or a feedback paused, the path is not to blame.
    const queued = this.#delay.queueUs > this.#delay.targetUs && !this.#jump.suspected;
    const usedUs = ack.nowUs - this.#usage.unusedUs;
    // A long queue that stood all the time kept the bottleneck busy, however the window was used.
    const standing = this.#delay.queueUs > BUSY_TARGETS * this.#delay.targetUs;
    const busy = standing || usedUs >= this.#spanUs() + ack.srttUs;
    if (queued && busy && !this.#rivalry.futile) this.#window.set(bytes + change);
  }

  #alphaBytes(): number {
    return this.#window.alphaBytes(this.#turnUs(), this.#growth.velocity);
  }

  #onMark(ack: AckInfo): void {
    if (this.#marked) return;
    this.#marked = true;
    if (this.#starting) this.#leaveStart(ack.nowUs);
    this.#window.set(BETA_ECN * this.#window.bytes);
  }

  #onRound(ack: AckInfo): void {
    this.#rate.onRound(this.#curve, ack.srttUs);
    const full = !this.#starting && this.#usage.round;
    this.#delay.onRound(full && this.#window.steady, this.#packetUs());
    if (this.#starting) {
      this.#loss.onRound(ack.nowUs, this.#window.bytes, true);
      if (this.#usage.round && this.#start.onRound()) this.#leaveStart(ack.nowUs);
    } else if (!this.#drain.running) this.#runRound(ack);
    this.#window.roundBytes = this.#window.bytes;
    this.#usage.round = true;
    this.#marked = false;
  }

  #runRound(ack: AckInfo): void {
    const { queueUs, targetUs, jitterUs, roundMeanUs } = this.#delay;
    const queued = queueUs > targetUs || this.#rivalry.active;
    const window = this.#window;
    const sentBytes = Math.min(window.bytes, window.roundBytes);
    const { steady } = window;
    const factor = this.#loss.onRound(ack.nowUs, sentBytes, queued);
    if (!this.#rivalry.active) window.set(factor * window.bytes);
    this.#growth.onRound({
      ...{ windowBytes: window.bytes, rate: this.#rate.best, queueUs: roundMeanUs, jitterUs },
      free: this.#usage.round && !this.#loss.excessive && !queued,
    });
    this.#rivalry.onRound({
      ...{ nowUs: ack.nowUs, rttUs: ack.srttUs, windowBytes: window.bytes, rate: this.#rate.best },
      ...{ queueUs, targetUs, jitterUs, meanQueueUs: roundMeanUs, expectedUs: this.#expectedUs() },
      steady,
    });
  }
}
