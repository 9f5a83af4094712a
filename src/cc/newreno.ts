/**
 * NewReno: slow start, congestion avoidance, one halving a loss episode.
 * RFC 9002 section 7; pacing as in section 7.7; growth only when the window was the limit (7.8).
 */
import type { AckInfo, CongestionController, LossInfo, PathReset, SentInfo } from "./controller.ts";

/** RFC 9002 section 7.2. */
const INITIAL_CWND_SEGMENTS = 10;
const MIN_CWND_SEGMENTS = 2;
/** RFC 9002 section 7.3.2 ("kLossReductionFactor"). */
const LOSS_REDUCTION = 0.5;
/** Slightly above window / rtt, or the window is never filled (RFC 9002 section 7.7). */
const PACING_GAIN = 1.25;
/**
 * While the window doubles every round, so must the rate; and the packets of one flow's slow start come
 * in bursts that it would rather not see stretched: its own exit from slow start (HyStart, RFC 9406)
 * takes 4 ms of delay for a full link.
 */
const SLOW_START_PACING_GAIN = 4;
/** Below this round-trip time pacing would only spread packets that one timer tick sends together. */
const PACING_RTT_MIN_US = 500;

export class NewReno implements CongestionController {
  readonly name = "newreno";
  readonly answersMarks = true;
  readonly drain = "none";
  readonly #mssBytes: number;
  #cwndBytes: number;
  #ssthreshBytes = Number.POSITIVE_INFINITY;
  /** Losses of packets sent before this moment belong to an episode already paid for. */
  #recoveryStartUs = Number.NEGATIVE_INFINITY;
  #srttUs = 0;
  /** What the last reduction took, given back when all losses of its episode prove spurious. */
  #beforeReduction = { cwndBytes: 0, ssthreshBytes: 0, atUs: Number.NEGATIVE_INFINITY };
  /** Losses of the episode that still stand. */
  #episodePackets = 0;

  constructor(mssBytes: number) {
    this.#mssBytes = mssBytes;
    this.#cwndBytes = INITIAL_CWND_SEGMENTS * mssBytes;
  }

  get cwndBytes(): number {
    return this.#cwndBytes;
  }

  get starting(): boolean {
    return this.#inSlowStart();
  }

  get phase(): string {
    return this.#inSlowStart() ? "start" : "run";
  }

  get pacingRate(): number {
    if (this.#srttUs === 0) return Number.POSITIVE_INFINITY;
    const gain = this.#inSlowStart() ? SLOW_START_PACING_GAIN : PACING_GAIN;
    return (gain * this.#cwndBytes) / Math.max(this.#srttUs, PACING_RTT_MIN_US);
  }

  onSent(_sent: SentInfo): void {}

  onAck(ack: AckInfo): void {
    this.#srttUs = ack.srttUs;
    if (ack.ceCount > 0) this.#reduce(ack.nowUs, ack.largestSentUs);
    if (ack.largestSentUs <= this.#recoveryStartUs || !this.#mayGrow(ack)) return;
    this.#cwndBytes += this.#inSlowStart()
      ? ack.ackedBytes
      : (this.#mssBytes * ack.ackedBytes) / this.#cwndBytes;
  }

  onLoss(loss: LossInfo): void {
    this.#reduce(loss.nowUs, loss.largestSentUs);
    this.#episodePackets += loss.lostPackets;
  }

  onSpuriousLoss(_nowUs: number, packets: number): void {
    const before = this.#beforeReduction;
    this.#episodePackets -= packets;
    if (this.#episodePackets > 0 || before.atUs !== this.#recoveryStartUs) return;
    this.#cwndBytes = Math.max(this.#cwndBytes, before.cwndBytes);
    this.#ssthreshBytes = before.ssthreshBytes;
    before.atUs = Number.NEGATIVE_INFINITY;
  }

  onPathReset(_nowUs: number, reason: PathReset): void {
    if (reason === "absence") return;
    this.#cwndBytes = INITIAL_CWND_SEGMENTS * this.#mssBytes;
    this.#ssthreshBytes = Number.POSITIVE_INFINITY;
    this.#recoveryStartUs = Number.NEGATIVE_INFINITY;
    this.#srttUs = 0;
  }

  beginDrain(_nowUs: number): void {}

  /**
   * Only a window that was the limit may grow (RFC 9002 section 7.8). In slow start half of it is enough, as
   * in Linux: or the tunnel's window would always be a round behind a flow that doubles as well.
   */
  #mayGrow(ack: AckInfo): boolean {
    return ack.windowLimited || (this.#inSlowStart() && 2 * ack.inFlightBytes >= this.#cwndBytes);
  }

  #inSlowStart(): boolean {
    return this.#cwndBytes < this.#ssthreshBytes;
  }

  #reduce(nowUs: number, sentUs: number): void {
    if (sentUs <= this.#recoveryStartUs) return;
    const before = this.#beforeReduction;
    before.cwndBytes = this.#cwndBytes;
    before.ssthreshBytes = this.#ssthreshBytes;
    before.atUs = nowUs;
    this.#recoveryStartUs = nowUs;
    this.#episodePackets = 0;
    const floor = MIN_CWND_SEGMENTS * this.#mssBytes;
    this.#cwndBytes = Math.max(floor, this.#cwndBytes * LOSS_REDUCTION);
    this.#ssthreshBytes = this.#cwndBytes;
  }
}
