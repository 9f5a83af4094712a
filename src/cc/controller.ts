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
  ackedBytes: number;
  /** When the largest newly acknowledged packet was sent. */
  largestSentUs: TimeUs;
  /** Smoothed and newest round-trip time, the peer's delay taken out (RFC 9002 section 5). */
  srttUs: number;
  latestRttUs: number;
  minRttUs: number;
  /** The peer's clock when it received the largest packet, and all octets it had received by then. */
  receivedUs: number;
  receivedBytes: number;
  /** Packets newly reported as marked "congestion experienced" (RFC 3168). */
  ceCount: number;
  inFlightBytes: number;
  /** The window was not the limit when these packets were sent (RFC 9002 section 7.8). */
  appLimited: boolean;
}

export interface LossInfo {
  nowUs: TimeUs;
  lostBytes: number;
  lostPackets: number;
  /** When the newest lost packet was sent. */
  largestSentUs: TimeUs;
  /** Everything sent over a long period was lost (RFC 9002 section 7.6). */
  persistent: boolean;
}

/** Why what is known about the path is void. */
export type PathReset = "mtu" | "address" | "rejoin";

export interface CongestionController {
  /** As in configuration and status. */
  readonly name: string;
  /** Octets that may be in flight. */
  readonly cwndBytes: number;
  /** Octets per microsecond; Infinity: not paced. */
  readonly pacingRate: number;
  /** Feedback messages a round-trip time that the law needs. */
  readonly feedbackPerRtt: number;
  onSent(sent: SentInfo): void;
  onAck(ack: AckInfo): void;
  onLoss(loss: LossInfo): void;
  /** `packets` that had been declared lost were acknowledged after all. */
  onSpuriousLoss(nowUs: TimeUs, packets: number): void;
  onPathReset(nowUs: TimeUs, reason: PathReset): void;
}

/** Octets of a full packet on the link, the unit of windows ("max_datagram_size" of RFC 9002). */
export type ControllerFactory = (mssBytes: number) => CongestionController;
