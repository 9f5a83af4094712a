/**
 * Delay-target control, the default controller. The window is what the path delivered during the last
 *
 *   T = base round trip + d* + feedback allowance
 *
 * plus a small constant alpha, so that a queue of about d* stands at the bottleneck: enough to bridge
 * jitter and timers, short enough that nobody minds. It is the target-rate law of Copa (NSDI 2018)
 * shifted by an explicit delay allowance, evaluated on the receiver's clock.
 *
 *   start --capacity found--> run <--> drain        (persistent congestion, path reset: start)
 *
 * Where the parts are: `delivered-curve` what arrived when; `path-delay` base, queue, jitter, d*;
 * `start` when to leave START; `drain` how a moment without our queue is had; `loss-response` policers
 * and random loss.
 */
import type {
  AckInfo,
  CongestionController,
  Drain as DrainState,
  LossInfo,
  PathReset,
  SentInfo,
} from "../controller.ts";
import { Rounds } from "../rounds.ts";
import { DeliveredCurve } from "./delivered-curve.ts";
import { Drain } from "./drain.ts";
import { LossResponse } from "./loss-response.ts";
import { PathDelay } from "./path-delay.ts";
import { Start } from "./start.ts";

/** RFC 9002 section 7.2; a smaller minimum would leave one packet an ack interval. */
const INITIAL_CWND_SEGMENTS = 10;
const MIN_CWND_SEGMENTS = 4;
const START_PACING_GAIN = 4;
/** A little above window over round trip, so that the window stays the limit. */
const PACING_GAIN = 1.1;
const PACING_RTT_MIN_US = 500;
/** alpha = max(2, sqrt(window)/2) packets: Copa's 1/delta of 2, and convergence of large windows. */
const ALPHA_SEGMENTS = 2;
const ALPHA_SQRT = 0.5;
/** While the queue stays empty alpha doubles each round, up to a quarter of the window. */
const VELOCITY_MAX = 64;
const VELOCITY_ROUNDS = 3;
const ALPHA_MAX = 0.25;
/** A window is in use when this part of it was in flight before an ack; less in START, as in Linux. */
const USED = 0.75;
const USED_START = 0.5;
const ALLOWANCE_DECAY = 0.98;
/** A window that moved less than this within a round is steady. */
const STEADY = 0.05;
const RATE_DECAY = 0.95;
const FREEZE_SRTTS = 1.2;
/** A path without a sight of its base for so long is to be drained. */
const DRAIN_INTERVAL_US = 8_000_000;
const DRAIN_INTERVAL_RTTS = 40;
/** RFC 8511: a mark says less than a loss. */
const BETA_ECN = 0.85;
/** After so long without use a window halves, down to the initial one. */
const IDLE_HALVING_US = 10_000_000;

export class Dtc implements CongestionController {
  readonly name = "dtc";
  readonly #mssBytes: number;
  readonly #curve = new DeliveredCurve();
  readonly #delay = new PathDelay();
  readonly #rounds = new Rounds();
  readonly #start = new Start();
  readonly #drain = new Drain();
  readonly #loss = new LossResponse();
  #starting = true;
  #windowBytes: number;
  #srttUs = 0;
  /** How long the peer holds the oldest packet of a report: a decaying maximum. */
  #allowanceUs = 0;
  #velocity = 1;
  #emptyRounds = 0;
  /** Octets per microsecond, the fastest of the last rounds, and of the last round. */
  #rate = 0;
  #roundRate = 0;
  #roundWindowBytes = 0;
  /** When the window was last not in use; law and growth need it used. */
  #unusedUs = Number.NEGATIVE_INFINITY;
  #roundUsed = true;
  #frozenUntilUs = Number.NEGATIVE_INFINITY;
  #marked = false;
  #lastSentUs = 0;

  constructor(mssBytes: number, _options: { readonly compete: boolean }) {
    this.#mssBytes = mssBytes;
    this.#windowBytes = INITIAL_CWND_SEGMENTS * mssBytes;
  }

  debug(): string {
    const d = this.#delay;
    return `base=${(d.baseUs / 1000).toFixed(1)} q=${(d.queueUs / 1000).toFixed(1)} t=${(d.targetUs / 1000).toFixed(1)} A=${(this.#allowanceUs / 1000).toFixed(1)} v=${this.#velocity} rate=${(this.#rate * 8).toFixed(1)} sr=${(this.#start.rate * 8).toFixed(1)} cap=${this.#loss.capBytes} p=${this.#loss.randomLoss.toFixed(3)}`;
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
    return this.#drain.running ? "drain" : "run";
  }

  get pacingRate(): number {
    if (this.#srttUs === 0) return Number.POSITIVE_INFINITY;
    if (this.#starting) {
      return (START_PACING_GAIN * this.cwndBytes) / Math.max(this.#srttUs, PACING_RTT_MIN_US);
    }
    const turnUs = this.#delay.standingUs + this.#allowanceUs;
    return (PACING_GAIN * this.cwndBytes) / Math.max(turnUs, PACING_RTT_MIN_US);
  }

  get drain(): DrainState {
    if (this.#drain.running) return "running";
    const { baseUs, baseSeenUs } = this.#delay;
    if (this.#starting || this.#lastSentUs === 0) return "none";
    const intervalUs = Math.max(DRAIN_INTERVAL_US, DRAIN_INTERVAL_RTTS * baseUs);
    return this.#lastSentUs - baseSeenUs > intervalUs ? "due" : "none";
  }

  onSent(sent: SentInfo): void {
    const idleUs = sent.nowUs - this.#lastSentUs;
    this.#lastSentUs = sent.nowUs;
    if (sent.inFlightBytes > sent.bytes || idleUs < IDLE_HALVING_US) return;
    const halved = this.#windowBytes / 2 ** Math.floor(idleUs / IDLE_HALVING_US);
    this.#windowBytes = Math.min(
      this.#windowBytes,
      Math.max(halved, INITIAL_CWND_SEGMENTS * this.#mssBytes),
    );
  }

  onAck(ack: AckInfo): void {
    this.#srttUs = ack.srttUs;
    this.#allowanceUs = Math.max(ack.heldUs, this.#allowanceUs * ALLOWANCE_DECAY);
    this.#curve.add(ack.receivedUs, ack.deliveredBytes, ack.largestSentUs);
    this.#delay.onAck(ack);
    this.#loss.onAcked(ack.ackedPackets);
    if (ack.inFlightBytes < (this.#starting ? USED_START : USED) * this.cwndBytes) {
      this.#unusedUs = ack.nowUs;
      this.#roundUsed = false;
    }
    if (ack.ceCount > 0) this.#onMark(ack);
    if (this.#rounds.onAck(ack.nowUs, ack.largestSentUs)) this.#onRound(ack);
    if (this.#starting) this.#startAck(ack);
    else if (this.#drain.running) this.#drainAck(ack);
    else if (ack.nowUs >= this.#frozenUntilUs) this.#law(ack);
  }

  onLoss(loss: LossInfo): void {
    this.#loss.onLost(loss.lostPackets);
    if (loss.persistent) {
      this.#windowBytes = MIN_CWND_SEGMENTS * this.#mssBytes;
      this.#restart();
      return;
    }
    if (this.#starting && this.#loss.excessive) this.#leaveStart(loss.nowUs);
  }

  onSpuriousLoss(_nowUs: number, _packets: number): void {}

  onPathReset(_nowUs: number, _reason: PathReset): void {
    this.#windowBytes = INITIAL_CWND_SEGMENTS * this.#mssBytes;
    this.#srttUs = 0;
    this.#curve.clear();
    this.#delay.reset();
    this.#loss.reset();
    this.#restart();
  }

  beginDrain(nowUs: number): void {
    if (this.drain !== "due") return;
    const floor = MIN_CWND_SEGMENTS * this.#mssBytes;
    this.#drain.begin(nowUs, this.#rate, this.#delay.baseUs, floor);
  }

  #restart(): void {
    this.#starting = true;
    this.#start.reset();
    this.#drain.cancel();
    this.#velocity = 1;
    this.#rate = 0;
  }

  #startAck(ack: AckInfo): void {
    const delay = this.#delay;
    if (this.#unusedUs !== ack.nowUs) this.#windowBytes += ack.ackedBytes;
    const full = this.#start.onAck(ack, this.#curve, this.#rounds.count, this.#mssBytes);
    const queueUs = delay.ackMinUs - delay.baseUs;
    const delayed = this.#start.delayed(queueUs, delay.baseUs, delay.targetUs);
    if (full || delayed) this.#leaveStart(ack.nowUs);
  }

  #leaveStart(nowUs: number): void {
    this.#starting = false;
    if (this.#start.rate > 0) this.#rate = this.#start.rate;
    if (this.#rate > 0)
      this.#windowBytes = Math.min(this.#windowBytes, this.#rate * this.#spanUs());
    this.#frozenUntilUs = nowUs + FREEZE_SRTTS * this.#srttUs;
  }

  #drainAck(ack: AckInfo): void {
    const delay = this.#delay;
    const end = this.#drain.onAck(ack, delay.ackMinUs, delay.baseUs, delay.toleranceUs);
    if (end === "none") return;
    delay.onDrained(this.#drain.minUs, ack.nowUs);
    this.#frozenUntilUs = ack.nowUs + FREEZE_SRTTS * ack.srttUs;
  }

  /** T: the time within which a full window is delivered. */
  #spanUs(): number {
    return this.#delay.baseUs + this.#delay.targetUs + this.#allowanceUs;
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
    const queued = this.#delay.queueUs > this.#delay.targetUs;
    const usedUs = ack.nowUs - this.#unusedUs;
    if (!queued || usedUs < this.#spanUs() + ack.srttUs) return;
    this.#windowBytes = Math.max(window + change, MIN_CWND_SEGMENTS * this.#mssBytes);
  }

  #alphaBytes(): number {
    const packets = this.#windowBytes / this.#mssBytes;
    const plain = Math.max(ALPHA_SEGMENTS, ALPHA_SQRT * Math.sqrt(packets)) * this.#mssBytes;
    if (this.#velocity === 1) return plain;
    return Math.max(plain, Math.min(plain * this.#velocity, ALPHA_MAX * this.#windowBytes));
  }

  #onMark(ack: AckInfo): void {
    if (this.#marked) return;
    this.#marked = true;
    if (this.#starting) this.#leaveStart(ack.nowUs);
    this.#windowBytes *= BETA_ECN;
  }

  #onRound(ack: AckInfo): void {
    const spanUs = Math.max(ack.srttUs, 10_000);
    const delivered = this.#curve.deliveredWithin(spanUs);
    if (delivered >= 0) {
      this.#roundRate = delivered / spanUs;
      this.#rate = Math.max(this.#roundRate, this.#rate * RATE_DECAY);
    }
    this.#lossRound(ack);
    this.#velocityRound();
    const moved = Math.abs(this.#windowBytes - this.#roundWindowBytes);
    const steady = !this.#starting && moved < STEADY * this.#windowBytes;
    this.#delay.onRound(steady, this.#rate > 0 ? this.#mssBytes / this.#rate : 0);
    if (this.#starting && this.#roundUsed && this.#start.onRound()) this.#leaveStart(ack.nowUs);
    this.#roundWindowBytes = this.#windowBytes;
    this.#roundUsed = true;
    this.#marked = false;
  }

  #lossRound(ack: AckInfo): void {
    const delay = this.#delay;
    const bytes = this.#roundRate * (delay.baseUs + delay.targetUs / 4);
    const factor = this.#loss.onRound({
      nowUs: ack.nowUs,
      queueShort: delay.queueUs < delay.targetUs / 2,
      deliveredBytes: bytes,
    });
    if (factor === 1 || this.#starting) return;
    const floor = Math.min(this.#windowBytes, this.#roundRate * delay.baseUs);
    this.#windowBytes = Math.max(factor * this.#windowBytes, factor < 0.7 ? 0 : floor);
  }

  #velocityRound(): void {
    const { queueUs, targetUs } = this.#delay;
    const empty = queueUs < targetUs / 4 && !this.#drain.running && !this.#loss.excessive;
    if (!empty || !this.#roundUsed) {
      this.#emptyRounds = 0;
      this.#velocity = 1;
      return;
    }
    this.#emptyRounds += 1;
    if (this.#emptyRounds > VELOCITY_ROUNDS) {
      this.#velocity = Math.min(2 * this.#velocity, VELOCITY_MAX);
    }
  }
}
