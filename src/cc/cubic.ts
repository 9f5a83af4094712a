/**
 * CUBIC (RFC 9438) with HyStart++ (RFC 9406): the window is a cubic function of the time since the last
 * reduction, or what Reno would have if that is more. Fills the buffers it meets; here to be compared
 * with, and for owners who want loss-based behaviour.
 */
import type { AckInfo, CongestionController, LossInfo, PathReset, SentInfo } from "./controller.ts";
import { HyStart } from "./hystart.ts";
import { Rounds } from "./rounds.ts";

/** RFC 9002 section 7.2. */
const INITIAL_CWND_SEGMENTS = 10;
const MIN_CWND_SEGMENTS = 2;
/** RFC 9438 section 5: C in segments per cubic second, and section 4.6. */
const C = 0.4;
const BETA = 0.7;
/** RFC 9438 section 4.3. */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);
/** RFC 8511 section 4.2 (ABE): a mark of a short queue asks for less; congestion avoidance only. */
const BETA_ECN = 0.85;
/** RFC 9438 section 4.2: the target is at most half as much again. */
const TARGET_MAX = 1.5;
/** As `NewReno`: above window over round trip, and loose while the window doubles. */
const PACING_GAIN = 1.25;
const SLOW_START_PACING_GAIN = 4;
const PACING_RTT_MIN_US = 500;
const SECOND_US = 1_000_000;

/** All that a reduction changes; windows in segments. */
interface Epoch {
  cwnd: number;
  ssthresh: number;
  /** Where the curve has its plateau, and how long after the start it gets there, seconds. */
  wMax: number;
  k: number;
  wEst: number;
}

export class Cubic implements CongestionController {
  readonly name = "cubic";
  readonly answersMarks = true;
  readonly drain = "none";
  readonly #mssBytes: number;
  readonly #hystart = new HyStart();
  readonly #rounds = new Rounds();
  #now: Epoch = newEpoch();
  /** Before the last reduction, restored if its losses prove spurious (RFC 9438 section 4.9). */
  #before: Epoch = newEpoch();
  #reducedUs = Number.NEGATIVE_INFINITY;
  #episodePackets = 0;
  /** Start of the curve; -1: with the next acknowledgement. */
  #epochUs = -1;
  /** Time in which the window was not the limit does not count (RFC 9438 section 5.8). */
  #pausedUs = 0;
  #lastAckUs = 0;
  #srttUs = 0;

  constructor(mssBytes: number) {
    this.#mssBytes = mssBytes;
  }

  /** Goes on in congestion avoidance from this window, as after a loss that took it there. */
  resume(cwndBytes: number): void {
    Object.assign(this.#now, newEpoch());
    this.#now.cwnd = Math.max(cwndBytes / this.#mssBytes, MIN_CWND_SEGMENTS);
    this.#now.ssthresh = this.#now.cwnd;
    this.#epochUs = -1;
  }

  get cwndBytes(): number {
    return this.#now.cwnd * this.#mssBytes;
  }

  get starting(): boolean {
    return this.#now.cwnd < this.#now.ssthresh;
  }

  get phase(): string {
    return this.starting ? "start" : "run";
  }

  get pacingRate(): number {
    if (this.#srttUs === 0) return Number.POSITIVE_INFINITY;
    const gain = this.starting ? SLOW_START_PACING_GAIN : PACING_GAIN;
    return (gain * this.cwndBytes) / Math.max(this.#srttUs, PACING_RTT_MIN_US);
  }

  onSent(_sent: SentInfo): void {}

  onAck(ack: AckInfo): void {
    const sinceUs = ack.nowUs - this.#lastAckUs;
    this.#lastAckUs = ack.nowUs;
    this.#srttUs = ack.srttUs;
    if (ack.ceCount > 0)
      this.#reduce(ack.nowUs, ack.largestSentUs, this.starting ? BETA : BETA_ECN);
    if (this.starting) this.#slowStart(ack);
    else if (!ack.windowLimited) this.#pausedUs += sinceUs;
    else if (ack.largestSentUs > this.#reducedUs) this.#avoid(ack);
  }

  onLoss(loss: LossInfo): void {
    this.#reduce(loss.nowUs, loss.largestSentUs, BETA);
    this.#episodePackets += loss.lostPackets;
  }

  onSpuriousLoss(_nowUs: number, packets: number): void {
    this.#episodePackets -= packets;
    if (this.#episodePackets > 0 || this.#before.cwnd === 0) return;
    const cwnd = Math.max(this.#now.cwnd, this.#before.cwnd);
    Object.assign(this.#now, this.#before, { cwnd });
    this.#before.cwnd = 0;
    this.#epochUs = -1;
  }

  onPathReset(_nowUs: number, reason: PathReset): void {
    if (reason === "absence") return;
    this.#now = newEpoch();
    this.#before.cwnd = 0;
    this.#hystart.reset();
    this.#reducedUs = Number.NEGATIVE_INFINITY;
    this.#epochUs = -1;
    this.#srttUs = 0;
  }

  beginDrain(_nowUs: number): void {}

  #slowStart(ack: AckInfo): void {
    const now = this.#now;
    if (ack.own) {
      this.#hystart.sample(ack.firstRttUs);
      this.#hystart.sample(ack.latestRttUs);
    }
    if (this.#rounds.onAck(ack.nowUs, ack.largestSentUs)) this.#hystart.onRound();
    if (this.#hystart.done) {
      now.ssthresh = now.cwnd;
      return;
    }
    // Half a window in use is enough, as in Linux: the flows inside double as well.
    if (!ack.windowLimited && 2 * ack.inFlightBytes < this.cwndBytes) return;
    now.cwnd += this.#hystart.growth(ack.ackedBytes) / this.#mssBytes;
  }

  #avoid(ack: AckInfo): void {
    const now = this.#now;
    if (this.#epochUs < 0) this.#beginEpoch(ack.nowUs);
    const acked = ack.ackedBytes / this.#mssBytes;
    // RFC 9438 section 4.3: Reno's slope once the window of before is reached again.
    now.wEst += ((now.wEst < now.wMax ? ALPHA : 1) * acked) / now.cwnd;
    const elapsedUs = ack.nowUs - this.#epochUs - this.#pausedUs;
    const t = (elapsedUs + ack.srttUs) / SECOND_US;
    const curve = C * (t - now.k) ** 3 + now.wMax;
    const target = Math.min(Math.max(curve, now.cwnd), TARGET_MAX * now.cwnd);
    now.cwnd += ((target - now.cwnd) / now.cwnd) * acked;
    now.cwnd = Math.max(now.cwnd, now.wEst);
  }

  /** RFC 9438 section 4.2; without a reduction before, the curve starts at its plateau. */
  #beginEpoch(nowUs: number): void {
    const now = this.#now;
    this.#epochUs = nowUs;
    this.#pausedUs = 0;
    if (now.wMax < now.cwnd) now.wMax = now.cwnd;
    now.k = Math.cbrt((now.wMax - now.cwnd) / C);
    now.wEst = now.cwnd;
  }

  #reduce(nowUs: number, sentUs: number, beta: number): void {
    if (sentUs <= this.#reducedUs) return;
    const now = this.#now;
    Object.assign(this.#before, now);
    this.#reducedUs = nowUs;
    this.#episodePackets = 0;
    // Fast convergence, RFC 9438 section 4.7: a flow that lost before its old plateau makes room.
    now.wMax = now.cwnd < now.wMax ? (now.cwnd * (1 + beta)) / 2 : now.cwnd;
    now.cwnd = Math.max(now.cwnd * beta, MIN_CWND_SEGMENTS);
    now.ssthresh = now.cwnd;
    this.#epochUs = -1;
  }
}

function newEpoch(): Epoch {
  return {
    cwnd: INITIAL_CWND_SEGMENTS,
    ssthresh: Number.POSITIVE_INFINITY,
    wMax: 0,
    k: 0,
    wEst: 0,
  };
}
