/**
 * Reads a feedback message for the controller: what is new in it since the last, on clocks and counters
 * that no longer wrap. The record it hands out is its own, and good until the next message.
 */
import type { AckInfo } from "../cc/controller.ts";
import type { Rtt } from "../cc/rtt.ts";
import type { TimeUs } from "../core/time.ts";
import type { Feedback } from "../wire/feedback.ts";
import { type EcnReport, EcnValidation } from "./ecn.ts";
import type { FlightChange } from "./flight.ts";

/** The peer's clock travels as its low 32 bits of microseconds, counts of marks as 16. */
const CLOCK_MODULUS = 0x1_0000_0000;
const COUNT_MASK = 0xffff;

export class FeedbackReading {
  readonly ecn = new EcnValidation();
  readonly ack: AckInfo = {
    ...{ nowUs: 0, ackedBytes: 0, ackedPackets: 0, largestSentUs: 0 },
    ...{ srttUs: 0, latestRttUs: 0, minRttUs: 0, firstRttUs: 0, own: true, fresh: false },
    ...{ receivedUs: 0, oneWayUs: 0, firstOneWayUs: 0, deliveredBytes: 0 },
    ...{ heldUs: 0, ceCount: 0, ectCount: 0 },
    ...{ inFlightBytes: 0, windowLimited: false },
  };
  readonly #marks: EcnReport = {
    ...{ largestAcked: 0, nextSeq: 0, ackedPackets: 0, ectCount: 0, ceCount: 0 },
  };
  #deliveredBytes = 0;
  /** Highest sequence number whose delays were read. */
  #largest = -1;
  /** The peer's clock at its last report, unwrapped; -1 before the first. */
  #peerUs = -1;
  /** The peer's clock may have gone on by more than can be told from having run back. */
  #resumed = false;
  #ceSeen = 0;
  #ectSeen = 0;

  /**
   * Fills `ack` but for what the sender alone knows (`inFlightBytes`, `windowLimited`).
   *
   * @param change - what the message newly acknowledges
   * @param nextSeq - sequence number of the next packet to be sent
   */
  read(
    nowUs: TimeUs,
    feedback: Feedback,
    change: FlightChange,
    nextSeq: number,
    rtt: Rtt,
    own: boolean,
  ): void {
    const { ack } = this;
    this.#deliveredBytes += change.bytes;
    ack.nowUs = nowUs;
    ack.ackedBytes = change.bytes;
    ack.ackedPackets = change.packets;
    ack.largestSentUs = change.sentUs;
    ack.srttUs = rtt.srttUs;
    ack.minRttUs = rtt.minUs;
    ack.heldUs = feedback.ackDelayUs + feedback.firstUs;
    ack.firstRttUs = Math.max(nowUs - change.firstSentUs - ack.heldUs, 1);
    ack.own = own;
    ack.fresh = change.largest > this.#largest;
    ack.deliveredBytes = this.#deliveredBytes;
    ack.ceCount = 0;
    ack.ectCount = 0;
    if (this.#advanceClock(feedback.receivedUs)) this.#readMarks(feedback, change, nextSeq);
    else ack.fresh = false;
    ack.receivedUs = this.#peerUs;
    if (ack.fresh) this.#readDelays(nowUs, feedback, change);
  }

  /** After an absence of any length: the next report is the newest, whatever the peer's clock says. */
  resume(): void {
    this.#resumed = true;
  }

  /** The newest packet of the report and the oldest that it is the first to report. */
  #readDelays(nowUs: TimeUs, feedback: Feedback, change: FlightChange): void {
    const { ack } = this;
    this.#largest = change.largest;
    ack.latestRttUs = Math.max(nowUs - change.sentUs - feedback.ackDelayUs, 1);
    ack.oneWayUs = this.#peerUs - change.sentUs;
    ack.firstOneWayUs = this.#peerUs - feedback.firstUs - change.firstSentUs;
  }

  /** The marks that are new in this report, as far as they are to be believed. */
  #readMarks(feedback: Feedback, change: FlightChange, nextSeq: number): void {
    const marks = this.#marks;
    marks.largestAcked = change.largest;
    marks.nextSeq = nextSeq;
    marks.ackedPackets = change.packets;
    marks.ectCount = (feedback.ectCount - this.#ectSeen) & COUNT_MASK;
    marks.ceCount = (feedback.ceCount - this.#ceSeen) & COUNT_MASK;
    this.#ectSeen = feedback.ectCount;
    this.#ceSeen = feedback.ceCount;
    this.ack.ectCount = marks.ectCount;
    this.ack.ceCount = this.ecn.onAck(marks);
  }

  /** Keeps the peer's clock as a number that never runs back. False: another report overtook this one. */
  #advanceClock(low: number): boolean {
    if (this.#peerUs < 0) this.#peerUs = low;
    const ahead = (low - (this.#peerUs % CLOCK_MODULUS) + CLOCK_MODULUS) % CLOCK_MODULUS;
    // More than half the clock's round ahead is behind.
    if (ahead >= CLOCK_MODULUS / 2 && !this.#resumed) return false;
    this.#resumed = false;
    this.#peerUs += ahead;
    return true;
  }
}
