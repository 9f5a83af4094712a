/**
 * The sending direction of a link: what is in flight, what feedback says of it, and the window and
 * pace that follow. Acknowledgements in the manner of RFC 9002; the law itself is the controller's.
 */
import type { CongestionController, LossInfo, SentInfo } from "../cc/controller.ts";
import { Rtt } from "../cc/rtt.ts";
import type { Arena } from "../core/arena.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Feedback } from "../wire/feedback.ts";
import { DeliveryRate } from "./delivery.ts";
import { Flight, type LentFate } from "./flight.ts";
import { OneWayDelay } from "./oneway.ts";
import { Pacer } from "./pacer.ts";
import { FeedbackReading } from "./reading.ts";
import { FEEDBACK_DELAY_MAX_US } from "./receipts.ts";

/** RFC 9002 section 6.1.1; raised when a loss proves spurious, as that section allows. */
const PACKET_THRESHOLD = 3;
const PACKET_THRESHOLD_MAX = 128;
/** Halved again after this long without a spurious loss. */
const THRESHOLD_DECAY_US = 10 * SECOND;
/** Packets over which the share of losses is smoothed: enough to tell 0.1 % from none. */
const LOSS_MEMORY = 4096;
/** A late answer to a probe of a dead link still tells that the link is alive. */
const PROBES_KEPT_US = 10 * SECOND;
/** After an absence of so many round trips no queue of ours is left. */
const ABSENCE_SRTTS = 2;
/** For so long what a path carried says something of what it will. */
const HINT_US = 60 * SECOND;
/** The longest that a report was held back fades by this factor with each report. */
const HELD_DECAY = 0.98;

/** `invalid`: it acknowledges what was never sent; `stale`: nothing new. */
export type FeedbackVerdict = "invalid" | "stale" | "progress";

export class Sender {
  readonly rtt = new Rtt();
  readonly oneWay = new OneWayDelay();
  /** May be changed for another; the new one begins anew. */
  controller: CongestionController;
  packetsLost = 0;
  spuriousLosses = 0;
  /** How long the peer lately held a report back, at the most; microseconds. */
  answerHeldUs: number = FEEDBACK_DELAY_MAX_US;
  /** Share of packets lost, smoothed over about LOSS_MEMORY packets. */
  lossShare = 0;
  readonly #flight: Flight;
  readonly #delivery = new DeliveryRate();
  readonly #pacer: Pacer;
  readonly #reading = new FeedbackReading();
  #packetThreshold = PACKET_THRESHOLD;
  #spuriousUs: TimeUs = 0;
  #largestAcked = -1;
  /** Since when answers have been missing, once that was found strange; Infinity: they come. */
  #awaySinceUs: TimeUs = NEVER;
  /** Packets below this number met a path that was away. That they were lost says nothing of congestion. */
  #awayEnd = 0;
  /** When the window last refused a packet. */
  #windowLimitedUs: TimeUs = Number.NEGATIVE_INFINITY;
  readonly #sent: SentInfo = { nowUs: 0, bytes: 0, inFlightBytes: 0 };
  readonly #loss: LossInfo = {
    ...{ nowUs: 0, lostBytes: 0, lostPackets: 0, largestSentUs: 0 },
  };

  constructor(arena: Arena, controller: CongestionController, mssBytes: number) {
    this.#flight = new Flight(arena);
    this.controller = controller;
    this.#pacer = new Pacer(mssBytes);
  }

  get inFlightBytes(): number {
    return this.#flight.inFlightBytes;
  }

  /** When the oldest packet in flight was sent; Infinity: there is none. */
  get oldestSentUs(): TimeUs {
    return this.#flight.oldestSentUs;
  }

  get idle(): boolean {
    return this.#flight.empty;
  }

  /** No further packet can be remembered. */
  get full(): boolean {
    return this.#flight.full;
  }

  /** Long packets lost in a row, none having arrived between them. */
  get longLost(): number {
    return this.#flight.longLost;
  }

  /** Packets may ask to be marked instead of dropped. */
  get ect(): boolean {
    return this.#reading.ecn.ect;
  }

  /** The sequence number of the next packet. */
  get nextSeq(): number {
    return this.#flight.next;
  }

  get lossDeadlineUs(): TimeUs {
    return this.#flight.lossDeadlineUs;
  }

  /** Window and pace let a packet of `bytes` octets go now. */
  allows(nowUs: TimeUs, bytes: number): boolean {
    if (!this.#fitsWindow(bytes)) {
      this.#windowLimitedUs = nowUs;
      return false;
    }
    return this.#pacer.allows(nowUs) && !this.#flight.full;
  }

  /** When the pace will allow a packet of `bytes`; Infinity when only feedback can make room for it. */
  pacedUntilUs(nowUs: TimeUs, bytes: number): TimeUs {
    if (!this.#fitsWindow(bytes) || this.#flight.full) return Number.POSITIVE_INFINITY;
    return this.#pacer.readyUs(nowUs);
  }

  /** Octets per microsecond that the window stands for; 0 before the first round trip. */
  get capacity(): number {
    if (!this.rtt.hasSample) return 0;
    return this.controller.cwndBytes / Math.max(this.rtt.srttUs, this.propagationUs);
  }

  /**
   * Octets per microsecond at which what is in flight leaves: the rate at which the link delivers. After a
   * lull little has been delivered, and the window says more.
   */
  get serviceRate(): number {
    return Math.max(this.#delivery.rate, this.capacity);
  }

  /**
   * How long a packet sent now would wait on the link before it propagates, microseconds, when what is in
   * flight leaves at `rate`, a recent `serviceRate` (Little's law).
   */
  waitUs(rate: number): number {
    if (rate === 0) return 0;
    return Math.max(this.#flight.inFlightBytes / rate - this.propagationUs, 0);
  }

  /** Round trip of the empty path, as far as is known: feedback that took another link knows no minimum. */
  get propagationUs(): number {
    return Math.min(this.rtt.minUs, this.rtt.srttUs);
  }

  /** A lost packet that was held, which the caller owns now; -1 when there is none. */
  takeLost(): number {
    return this.#flight.takeLost();
  }

  /** See `Flight`: packets whose copies go elsewhere while nobody knows whether they arrive. */
  lend(): number {
    return this.#flight.lend();
  }

  get lentSeq(): number {
    return this.#flight.lentSeq;
  }

  fateOf(seq: number): LentFate {
    return this.#flight.fateOf(seq);
  }

  kept(seq: number): void {
    this.#flight.kept(seq);
  }

  returned(seq: number, slot: number): void {
    this.#flight.returned(seq, slot);
  }

  /** Gives up every packet that is held. */
  forget(): void {
    this.#flight.forget();
  }

  /** Enters the packet `nextSeq`; `slot`: held, to be sent again if it is lost; negative: not. */
  record(nowUs: TimeUs, bytes: number, slot: number): void {
    this.#flight.record(nowUs, bytes, slot);
    this.#pacer.spend(bytes);
    this.#sent.nowUs = nowUs;
    this.#sent.bytes = bytes;
    this.#sent.inFlightBytes = this.#flight.inFlightBytes;
    this.controller.onSent(this.#sent);
  }

  /** Takes in the peer's report. `own`: it came over this very link. */
  acknowledge(nowUs: TimeUs, feedback: Feedback, own: boolean): FeedbackVerdict {
    const flight = this.#flight;
    const largest = this.#fullSeq(feedback.largest);
    const oldest = largest - (feedback.rangeTo[feedback.rangeCount - 1] as number);
    if (largest >= flight.next || oldest < 0) return "invalid";
    this.#reading.ack.inFlightBytes = flight.inFlightBytes;
    flight.begin();
    for (let index = 0; index < feedback.rangeCount; index += 1) {
      const from = largest - (feedback.rangeTo[index] as number);
      flight.acknowledge(from, largest - (feedback.rangeFrom[index] as number));
    }
    const { change } = flight;
    if (change.packets === 0) return "stale";
    if (this.#awaySinceUs !== NEVER) this.#onReturn(nowUs);
    if (change.largest > this.#largestAcked) {
      this.#largestAcked = change.largest;
      this.rtt.sample(Math.max(nowUs - change.sentUs, 1), feedback.ackDelayUs, own);
      if (change.largest === largest) this.#seeOneWay(nowUs, change.sentUs, feedback, own);
    }
    this.#weighLoss(0, change.packets);
    this.#delivery.report(feedback.receivedUs, feedback.bytes, this.rtt.srttUs);
    if (change.spurious > 0) this.#onSpurious(nowUs, change.spurious);
    this.#reportAck(nowUs, feedback, own);
    this.detectLoss(nowUs);
    return "progress";
  }

  /** Declares lost what is overdue. */
  detectLoss(nowUs: TimeUs): void {
    const flight = this.#flight;
    const delayUs = this.rtt.lossDelayUs();
    if (nowUs - this.#spuriousUs > THRESHOLD_DECAY_US && this.#packetThreshold > PACKET_THRESHOLD) {
      this.#packetThreshold = Math.max(this.#packetThreshold / 2, PACKET_THRESHOLD);
      this.#spuriousUs = nowUs;
    }
    flight.detectLoss(nowUs, this.#largestAcked, this.#packetThreshold, delayUs);
    if (flight.change.packets > 0) this.#reportLoss(nowUs);
    flight.settle(nowUs, this.rtt.srttUs);
    this.#pacer.setRate(nowUs, this.controller.pacingRate);
  }

  /** Answers have been missing since then: until the next one, what is lost is the path's absence, not congestion. */
  doubt(sinceUs: TimeUs): void {
    if (this.#awaySinceUs === NEVER) this.#awaySinceUs = sinceUs;
  }

  /** Gives up everything in flight: the path is gone. */
  abandon(nowUs: TimeUs): void {
    this.doubt(nowUs);
    this.#awayEnd = this.#flight.next;
    this.#flight.loseAll();
    if (this.#flight.change.packets > 0) {
      this.#reportLoss(nowUs);
      this.#reading.ecn.onAllLost();
    }
    this.#flight.settle(nowUs, this.rtt.srttUs);
  }

  /** The local device's queue refuses packets, which nobody has lost: once a round trip a reason to send less. */
  queueFull(nowUs: TimeUs): void {
    const loss = this.#loss;
    loss.nowUs = nowUs;
    loss.lostBytes = 0;
    loss.lostPackets = 0;
    loss.largestSentUs = Math.min(this.#flight.oldestSentUs, nowUs);
    this.controller.onLoss(loss);
  }

  /** Packets take another path from now on. */
  moved(): void {
    this.#flight.moved();
    this.#reading.ecn.reset(this.#flight.next);
    this.oneWay.reset();
  }

  /** What was sent before is not waited for any more, nor counted as lost: it was sent into the dark. */
  forgetProbes(nowUs: TimeUs): void {
    this.#flight.loseAll();
    this.#flight.settle(nowUs, PROBES_KEPT_US);
  }

  /** The path is back after `awayUs`, in which it may have become another; or it is measured by another clock. */
  rejoin(nowUs: TimeUs, awayUs: number): void {
    this.#reading.resume();
    this.controller.onPathReset(nowUs, awayUs < HINT_US ? "rejoin" : "address");
    this.#delivery.reset();
    this.oneWay.reset();
    this.#pacer.setRate(nowUs, this.controller.pacingRate);
  }

  #seeOneWay(nowUs: TimeUs, sentUs: TimeUs, feedback: Feedback, own: boolean): void {
    const { receivedUs, ackDelayUs } = feedback;
    const turnUs = Math.max(this.rtt.srttUs, this.rtt.latestUs);
    const roundUs = own ? Math.max(nowUs - sentUs - ackDelayUs, 1) : NEVER;
    if (!this.oneWay.sample(nowUs, sentUs, receivedUs, turnUs, roundUs)) this.rejoin(nowUs, 0);
  }

  #fitsWindow(bytes: number): boolean {
    const { inFlightBytes } = this.#flight;
    return inFlightBytes === 0 || inFlightBytes + bytes <= this.controller.cwndBytes;
  }

  #reportAck(nowUs: TimeUs, feedback: Feedback, own: boolean): void {
    const { ack } = this.#reading;
    this.#reading.read(nowUs, feedback, this.#flight.change, this.#flight.next, this.rtt, own);
    const heldUs = Math.min(ack.heldUs, FEEDBACK_DELAY_MAX_US);
    this.answerHeldUs = Math.max(heldUs, HELD_DECAY * this.answerHeldUs);
    const recentlyUs = 2 * this.rtt.srttUs + FEEDBACK_DELAY_MAX_US;
    ack.windowLimited = nowUs - this.#windowLimitedUs <= recentlyUs;
    this.controller.onAck(ack);
  }

  #onReturn(nowUs: TimeUs): void {
    const awayUs = nowUs - this.#awaySinceUs;
    this.#awaySinceUs = NEVER;
    this.#awayEnd = this.#flight.next;
    if (awayUs > ABSENCE_SRTTS * this.rtt.srttUs) this.controller.onPathReset(nowUs, "absence");
  }

  #onSpurious(nowUs: TimeUs, count: number): void {
    this.spuriousLosses += count;
    this.#spuriousUs = nowUs;
    this.#packetThreshold = Math.min(2 * this.#packetThreshold, PACKET_THRESHOLD_MAX);
    this.controller.onSpuriousLoss(nowUs, count);
  }

  #reportLoss(nowUs: TimeUs): void {
    const loss = this.#loss;
    const { change } = this.#flight;
    this.packetsLost += change.packets;
    this.#weighLoss(change.packets, 0);
    if (change.largest < this.#awayEnd) return;
    loss.nowUs = nowUs;
    loss.lostBytes = change.bytes;
    loss.lostPackets = change.packets;
    loss.largestSentUs = change.sentUs;
    this.controller.onLoss(loss);
  }

  #weighLoss(lost: number, arrived: number): void {
    const weight = Math.min((lost + arrived) / LOSS_MEMORY, 1);
    this.lossShare += (lost / (lost + arrived) - this.lossShare) * weight;
  }

  /** The 64-bit number nearest to what was sent last that has these low 32 bits. */
  #fullSeq(low: number): number {
    const last = this.#flight.next - 1;
    const candidate = last - (last % 0x1_0000_0000) + low;
    if (candidate - last > 0x8000_0000) return candidate - 0x1_0000_0000;
    if (last - candidate > 0x8000_0000) return candidate + 0x1_0000_0000;
    return candidate;
  }
}
