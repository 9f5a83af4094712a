/**
 * Delay-target control, the default controller. The window is what the path delivered during the last
 *
 *   T = base round trip + d* + time that feedback is held back
 *
 * plus a small alpha, so that a queue of about d* stands at the bottleneck: enough to bridge jitter and
 * timers, short enough that nobody minds. It is the target-rate law of Copa (NSDI 2018) shifted by an
 * explicit delay allowance, evaluated on the receiver's clock.
 *
 *   start --capacity found--> run <--> drain        (persistent congestion, path reset: start)
 *                              |
 *                              +--somebody else's queue--> compete, until a drain finds none
 *
 * Where the parts are: `delivered-curve` what arrived when; `path-delay` base, queue, jitter, d*;
 * `start` when to leave START; `growth` how fast alpha may be; `drain` how a moment without our queue is
 * had; `competition` what it tells; `jump` hand-overs; `loss-response` policers and random loss.
 */
import type {
  AckInfo,
  CongestionController,
  Drain as DrainState,
  LossInfo,
  PathReset,
  SentInfo,
} from "../controller.ts";
import { Cubic } from "../cubic.ts";
import { Rounds } from "../rounds.ts";
import { Competition } from "./competition.ts";
import { DeliveredCurve } from "./delivered-curve.ts";
import { Drain } from "./drain.ts";
import { Growth } from "./growth.ts";
import { Jump } from "./jump.ts";
import { LossResponse } from "./loss-response.ts";
import { PathDelay } from "./path-delay.ts";
import { Retreat } from "./retreat.ts";
import { Start } from "./start.ts";

/** RFC 9002 section 7.2; a smaller minimum would leave one packet an ack interval. */
const INITIAL_CWND_SEGMENTS = 10;
const MIN_CWND_SEGMENTS = 4;
/** Loose while the window doubles: see `NewReno`, and the trains that `Start` looks at. */
const START_PACING_GAIN = 4;
/** A little above window over round trip, so that the window stays the limit. */
const PACING_GAIN = 1.1;
const PACING_RTT_MIN_US = 500;
/**
 * alpha = max(2, sqrt(packets in 40 ms) / 2) packets: Copa's 1/delta of 2, and convergence of fast flows.
 * By time and not by window: rates of flows that share a bottleneck are as their alphas, so alpha must
 * not depend on the round trip.
 */
const ALPHA_SEGMENTS = 2;
const ALPHA_SQRT = 0.5;
const ALPHA_SPAN_US = 40_000;
/** Velocity and all, a round adds no more than this part of the window. */
const ALPHA_MAX = 0.25;
/** A window is in use when this part of it was in flight before an ack; less in START, as in Linux. */
const USED = 0.75;
const USED_START = 0.5;
/** Weight of a feedback message in the smoothed time for which feedback is held back. */
const HELD_WEIGHT = 1 / 8;
/** A window that moved less than this within a round is steady. */
const STEADY = 0.05;
const RATE_DECAY = 0.95;
/** A path that has become shorter by less is left to the law. */
const SHORTER_MIN_US = 8_000;
/** After START and drain the delivered curve contains their traces for a round trip. */
const FREEZE_SRTTS = 1.2;
/** And these round trips more until the queue stands again: no jump may be seen in its return. */
const JUMP_REST_SRTTS = 3;
/** The rate of a round is taken over at least this. */
const RATE_SPAN_MIN_US = 10_000;
/** A path without a sight of its base for so long is to be drained. */
const DRAIN_INTERVAL_US = 8_000_000;
const DRAIN_INTERVAL_RTTS = 40;
/** Loss that ends START by itself: more than random loss ever is (`LossResponse`). */
const START_LOSS_QUEUED = 0.02;
const START_LOSS = 0.1;
const START_LOSS_PACKETS = 10;
/** RFC 8511 section 4.2: a mark says less than a loss. */
const BETA_ECN = 0.85;
/** After so long without use a window halves, down to the initial one. */
const IDLE_HALVING_US = 10_000_000;

export class Dtc implements CongestionController {
  readonly name = "dtc";
  readonly #mssBytes: number;
  readonly #compete: boolean;
  readonly #curve = new DeliveredCurve();
  readonly #delay = new PathDelay();
  readonly #rounds = new Rounds();
  readonly #start = new Start();
  readonly #growth = new Growth();
  readonly #retreat = new Retreat();
  readonly #drain = new Drain();
  readonly #jump = new Jump();
  readonly #loss = new LossResponse();
  readonly #competition = new Competition();
  /** Whose window is used while the path's queue is somebody else's. */
  readonly #rival: Cubic;
  #competing = false;
  #starting = true;
  #windowBytes: number;
  #srttUs = 0;
  /** How long the peer holds the oldest packet of a report, smoothed. */
  #heldUs = 0;
  /** Octets per microsecond, the fastest of the last rounds. */
  #rate = 0;
  /** Of the last round. */
  #roundRate = 0;
  #roundWindowBytes = 0;
  /** When the window was last not in use, and whether it was all this round. */
  #unusedUs = Number.NEGATIVE_INFINITY;
  #roundUsed = true;
  #steady = false;
  #frozenUntilUs = Number.NEGATIVE_INFINITY;
  #drainWanted = false;
  #marked = false;
  #lastSentUs = 0;

  constructor(mssBytes: number, options: { readonly compete: boolean }) {
    this.#mssBytes = mssBytes;
    this.#compete = options.compete;
    this.#rival = new Cubic(mssBytes);
    this.#windowBytes = INITIAL_CWND_SEGMENTS * mssBytes;
  }

  get cwndBytes(): number {
    const window = Math.min(this.#windowBytes, this.#loss.capBytes);
    const bytes = this.#drain.running ? Math.min(this.#drain.windowBytes, window) : window;
    return Math.max(bytes, MIN_CWND_SEGMENTS * this.#mssBytes);
  }

  get starting(): boolean {
    return this.#starting;
  }

  get phase(): string {
    if (this.#starting) return "start";
    if (this.#drain.running) return "drain";
    return this.#competing ? "compete" : "run";
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
    if (this.#drainWanted) return "due";
    const { restUs, baseSeenUs } = this.#delay;
    const intervalUs = Math.max(DRAIN_INTERVAL_US, DRAIN_INTERVAL_RTTS * restUs);
    return this.#lastSentUs - baseSeenUs > intervalUs ? "due" : "none";
  }

  onSent(sent: SentInfo): void {
    const idleUs = sent.nowUs - this.#lastSentUs;
    this.#lastSentUs = sent.nowUs;
    if (sent.inFlightBytes > sent.bytes || idleUs < IDLE_HALVING_US) return;
    const halved = this.#windowBytes / 2 ** Math.floor(idleUs / IDLE_HALVING_US);
    const floor = INITIAL_CWND_SEGMENTS * this.#mssBytes;
    this.#windowBytes = Math.min(this.#windowBytes, Math.max(halved, floor));
  }

  onAck(ack: AckInfo): void {
    this.#srttUs = ack.srttUs;
    this.#heldUs += (ack.heldUs - this.#heldUs) * HELD_WEIGHT;
    this.#curve.add(ack.receivedUs, ack.deliveredBytes, ack.largestSentUs);
    if (ack.fresh) this.#seeDelay(ack);
    this.#loss.onAcked(ack.ackedPackets);
    if (ack.inFlightBytes < (this.#starting ? USED_START : USED) * this.cwndBytes) {
      this.#unusedUs = ack.nowUs;
      this.#roundUsed = false;
    }
    if (ack.ceCount > 0) this.#onMark(ack);
    if (this.#rounds.onAck(ack.nowUs, ack.largestSentUs)) this.#onRound(ack);
    if (this.#starting) this.#startAck(ack);
    else if (this.#drain.running) this.#drainAck(ack);
    else if (this.#competing) this.#rivalAck(ack);
    else if (ack.nowUs >= this.#frozenUntilUs) this.#law(ack);
  }

  onLoss(loss: LossInfo): void {
    this.#loss.onLost(loss.lostPackets);
    if (loss.persistent) {
      this.#windowBytes = MIN_CWND_SEGMENTS * this.#mssBytes;
      this.#restart();
      return;
    }
    if (this.#competing) {
      this.#rival.onLoss(loss);
      this.#windowBytes = this.#rival.cwndBytes;
    }
    if (this.#starting && this.#lostInStart()) {
      this.#leaveStart(loss.nowUs);
    }
  }

  onSpuriousLoss(_nowUs: number, _packets: number): void {}

  onPathReset(_nowUs: number, _reason: PathReset): void {
    this.#windowBytes = INITIAL_CWND_SEGMENTS * this.#mssBytes;
    this.#srttUs = 0;
    this.#curve.clear();
    this.#delay.reset();
    this.#loss.reset();
    this.#competition.reset();
    this.#restart();
  }

  beginDrain(nowUs: number): void {
    if (this.drain !== "due") return;
    const floor = MIN_CWND_SEGMENTS * this.#mssBytes;
    this.#drainWanted = false;
    this.#drain.begin(nowUs, this.#roundRate, this.#delay.restUs, floor);
  }

  #restart(): void {
    this.#starting = true;
    this.#competing = false;
    this.#drainWanted = false;
    this.#start.reset();
    this.#drain.cancel();
    this.#growth.reset();
    this.#retreat.reset();
    this.#jump.reset();
    this.#rate = 0;
  }

  #seeDelay(ack: AckInfo): void {
    const delay = this.#delay;
    const shorterUs = delay.onAck(ack);
    if (this.#starting || this.#competing) return;
    if (shorterUs > SHORTER_MIN_US) {
      // What filled the longer path would now be a queue.
      this.#windowBytes = Math.min(this.#windowBytes, this.#rate * this.#spanUs());
    }
    if (ack.nowUs < this.#frozenUntilUs + JUMP_REST_SRTTS * ack.srttUs || this.#drain.running)
      return;
    const grownBytes = Math.max(0, this.#windowBytes - this.#roundWindowBytes);
    const longerUs = this.#jump.onAck({
      nowUs: ack.nowUs,
      sentUs: ack.largestSentUs,
      queueUs: delay.ackQueueUs,
      standingUs: delay.beforeUs,
      noiseUs:
        delay.jitterUs + 2 * this.#packetUs() + (this.#rate > 0 ? grownBytes / this.#rate : 0),
    });
    if (longerUs === 0) return;
    delay.shift(longerUs, ack.nowUs);
    this.#windowBytes += Math.min(this.#rate * longerUs, this.#windowBytes);
  }

  #startAck(ack: AckInfo): void {
    const delay = this.#delay;
    const full = this.#start.onAck(ack, this.#curve, this.#rounds.count, this.#mssBytes);
    const delayed = this.#start.delayed(delay.ackQueueUs, delay.restUs, delay.targetUs);
    if (full || delayed) {
      this.#leaveStart(ack.nowUs);
    } else if (this.#unusedUs !== ack.nowUs && !this.#start.doubtful) {
      this.#windowBytes += ack.ackedBytes;
    }
  }

  #lostInStart(): boolean {
    const loss = this.#loss;
    return this.#start.doubtful
      ? loss.exceeds(START_LOSS_QUEUED, 3)
      : loss.exceeds(START_LOSS, START_LOSS_PACKETS);
  }

  #leaveStart(nowUs: number): void {
    this.#starting = false;
    if (this.#start.rate > 0) this.#rate = this.#start.rate;
    if (this.#rate > 0) {
      this.#windowBytes = Math.min(this.#windowBytes, this.#rate * this.#spanUs());
    }
    this.#frozenUntilUs = nowUs + FREEZE_SRTTS * this.#srttUs;
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
    const found = this.#competition.onDrained({
      nowUs: ack.nowUs,
      queueUs: minUs,
      expectedUs: delay.targetUs + this.#packetUs(),
      competing: this.#competing,
      jitterUs: delay.jitterUs,
      empty: end === "empty",
      futile: this.#retreat.futile,
    });
    if (found === "moved") {
      delay.settle(minUs, ack.nowUs);
      this.#retreat.reset();
    }
    if (found === "open") return;
    if (found !== "rival") {
      if (this.#competing) this.#windowBytes = this.#rate * this.#spanUs();
      this.#competing = false;
    } else if (this.#compete && !this.#competing) {
      this.#competing = true;
      this.#windowBytes = Math.max(this.#windowBytes, this.#competition.windowBefore);
      this.#rival.resume(this.#windowBytes);
    }
  }

  #rivalAck(ack: AckInfo): void {
    this.#rival.onAck(ack);
    this.#windowBytes = this.#rival.cwndBytes;
  }

  /** The round trip as it is, but for jitter. */
  #turnUs(): number {
    return this.#delay.restUs + this.#delay.queueUs;
  }

  #packetUs(): number {
    return this.#rate > 0 ? this.#mssBytes / this.#rate : 0;
  }

  /** The queue that the law itself leaves. */
  #expectedUs(): number {
    return this.#delay.targetUs + (this.#alphaBytes() / this.#mssBytes) * this.#packetUs();
  }

  /** T: the time within which a full window is delivered. */
  #spanUs(): number {
    return this.#delay.restUs + this.#delay.targetUs + this.#heldUs;
  }

  #law(ack: AckInfo): void {
    const delivered = this.#curve.deliveredWithin(this.#spanUs());
    if (delivered < 0) return;
    const window = this.#windowBytes;
    const change = (delivered + this.#alphaBytes() - window) * Math.min(1, ack.ackedBytes / window);
    if (change >= 0) {
      if (this.#unusedUs === ack.nowUs) return;
      this.#windowBytes = Math.min(window + Math.min(change, ack.ackedBytes), this.#loss.capBytes);
      return;
    }
    // Too little delivered, yet no queue: the sender or a feedback paused, the path is not to blame.
    const queued = this.#delay.queueUs > this.#delay.targetUs && !this.#jump.suspected;
    const usedUs = ack.nowUs - this.#unusedUs;
    if (!queued || this.#retreat.futile || usedUs < this.#spanUs() + ack.srttUs) return;
    this.#windowBytes = Math.max(window + change, MIN_CWND_SEGMENTS * this.#mssBytes);
  }

  #alphaBytes(): number {
    const spans = ALPHA_SPAN_US / Math.max(this.#turnUs(), PACING_RTT_MIN_US);
    const packets = (this.#windowBytes * spans) / this.#mssBytes;
    const alpha = Math.max(ALPHA_SEGMENTS, ALPHA_SQRT * Math.sqrt(packets)) * this.#mssBytes;
    if (this.#growth.velocity === 1) return alpha;
    const most = ALPHA_MAX * this.#windowBytes;
    return Math.max(alpha, Math.min(alpha * this.#growth.velocity, most));
  }

  #onMark(ack: AckInfo): void {
    if (this.#marked) return;
    this.#marked = true;
    if (this.#starting) this.#leaveStart(ack.nowUs);
    this.#windowBytes *= BETA_ECN;
  }

  #onRound(ack: AckInfo): void {
    const spanUs = Math.max(ack.srttUs, RATE_SPAN_MIN_US);
    const delivered = this.#curve.deliveredWithin(spanUs);
    if (delivered >= 0) {
      this.#roundRate = delivered / spanUs;
      this.#rate = Math.max(this.#roundRate, this.#rate * RATE_DECAY);
    }
    const packetUs = this.#packetUs();
    const moved = Math.abs(this.#windowBytes - this.#roundWindowBytes);
    this.#steady = !this.#starting && moved < STEADY * this.#windowBytes;
    this.#delay.onRound(this.#steady, packetUs);
    if (this.#starting) {
      this.#loss.onRound(ack.nowUs, this.#windowBytes, true);
      if (this.#roundUsed && this.#start.onRound()) {
        this.#leaveStart(ack.nowUs);
      }
    } else if (!this.#drain.running) this.#runRound(ack);
    this.#roundWindowBytes = this.#windowBytes;
    this.#roundUsed = true;
    this.#marked = false;
  }

  #runRound(ack: AckInfo): void {
    const { queueUs, targetUs, jitterUs, roundMeanUs } = this.#delay;
    const queued = queueUs > targetUs || this.#competing;
    const sentWindow = Math.min(this.#windowBytes, this.#roundWindowBytes);
    const factor = this.#loss.onRound(ack.nowUs, sentWindow, queued);
    if (!this.#competing) this.#windowBytes *= factor;
    this.#growth.onRound({
      windowBytes: this.#windowBytes,
      rate: this.#rate,
      queueUs: roundMeanUs,
      jitterUs,
      free: this.#roundUsed && !this.#loss.excessive && queueUs < targetUs && !this.#competing,
    });
    this.#retreat.onRound({
      windowBytes: this.#windowBytes,
      rate: this.#rate,
      queueUs: roundMeanUs,
      jitterUs,
      queued: queueUs > targetUs && !this.#competing,
    });
    const doubt = this.#competition.onRound({
      nowUs: ack.nowUs,
      queueUs,
      expectedUs: this.#expectedUs(),
      rttUs: ack.srttUs,
      windowBytes: this.#windowBytes,
      steady: this.#steady,
      jitterUs,
      futile: this.#retreat.futile,
    });
    if (doubt && !this.#jump.suspected) this.#drainWanted = true;
  }
}
