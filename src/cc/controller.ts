/**
 * What a congestion controller is told and what it answers: one controller a link and direction.
 * A controller reads no clock, sends nothing and keeps nothing per packet. The records passed in are
 * reused by the caller: read them, do not keep them.
 *
 * Units: microseconds, octets, octets per microsecond.
 */
import type { TimeUs } from "../core/time.ts";

export interface SentInfo {
  nowUs: TimeUs;
  bytes: number;
  /** Octets in flight, this packet included. */
  inFlightBytes: number;
}

/** One feedback message that newly acknowledged something. */
export interface AckInfo {
  nowUs: TimeUs;
  /** Octets and packets newly acknowledged; octets as on the wire, like all windows. */
  ackedBytes: number;
  ackedPackets: number;
  /** When the largest newly acknowledged packet was sent. */
  largestSentUs: TimeUs;
  /** Smoothed and newest round-trip time, the peer's delay taken out (RFC 9002 section 5). */
  srttUs: number;
  latestRttUs: number;
  minRttUs: number;
  /**
   * Round-trip time of the oldest packet that this feedback is the first to report, the time for which
   * the peer held the report taken out; `latestRttUs` when it is not known. A second sample a message.
   */
  firstRttUs: number;
  /** The feedback came over the very link: its round-trip times say something of the minimum. */
  own: boolean;
  /** The report tells of a packet newer than all before: `latestRttUs` and one-way delays are new. */
  fresh: boolean;
  /**
   * One-way delay of the newest packet and of the oldest that this feedback is the first to report: the
   * peer's clock minus ours, so with an unknown offset, and with the drift of two clocks.
   */
  oneWayUs: number;
  firstOneWayUs: number;
  /**
   * A point on the delivered curve: when, on the peer's clock (64-bit, never running back; only
   * differences mean something), it received the largest packet, and all octets acknowledged up to
   * now, as on the wire.
   */
  receivedUs: number;
  deliveredBytes: number;
  /** How long the peer held back the oldest packet of this report before it sent the report. */
  heldUs: number;
  /** Packets newly reported as marked "congestion experienced" (RFC 3168), and as ECT but not marked. */
  ceCount: number;
  ectCount: number;
  /** Octets in flight before this acknowledgement. */
  inFlightBytes: number;
  /**
   * The window refused a packet within the last two round trips: it is in use, and may grow (RFC 9002
   * section 7.8).
   */
  windowLimited: boolean;
}

/**
 * Lost while the path answered. When nothing is answered any more (persistent congestion in RFC 9002 section 7.6) the
 * link goes down, and its controller hears of that when it returns (`PathReset`).
 */
export interface LossInfo {
  nowUs: TimeUs;
  lostBytes: number;
  lostPackets: number;
  /** When the newest lost packet was sent. */
  largestSentUs: TimeUs;
}

/**
 * Why what is known about the path is void. "rejoin": it was away for more than a second and less than a minute; what it
 * carried before is a hint. "absence": nothing passed for some round trips, less than a second, as at
 * a hand-over: its rate is likely the same, but how long it is may be new.
 */
export type PathReset = "mtu" | "address" | "rejoin" | "absence";

/**
 * A controller that must empty its link's queue from time to time, to see the path without it, asks
 * (`due`) and is told to begin, since only one link of a bond may do so at a time.
 */
export type Drain = "none" | "due" | "running";

export interface CongestionController {
  /** As in configuration and status. */
  readonly name: string;
  /** What it is doing, one lower-case word, for status and plots: "start", "run", "drain". */
  readonly phase: string;
  /** Octets that may be in flight. */
  readonly cwndBytes: number;
  /** Octets per microsecond; Infinity: not paced. */
  readonly pacingRate: number;
  readonly drain: Drain;
  /** The window has not found the path's capacity yet: who feeds it should not signal congestion. */
  readonly starting: boolean;
  /** A mark of congestion makes it send less; else its packets must not ask for marks (RFC 3168 section 5). */
  readonly answersMarks: boolean;
  onSent(sent: SentInfo): void;
  onAck(ack: AckInfo): void;
  onLoss(loss: LossInfo): void;
  /** `packets` that had been declared lost were acknowledged after all. */
  onSpuriousLoss(nowUs: TimeUs, packets: number): void;
  onPathReset(nowUs: TimeUs, reason: PathReset): void;
  /** Begin the drain that was asked for. */
  beginDrain(nowUs: TimeUs): void;
}
