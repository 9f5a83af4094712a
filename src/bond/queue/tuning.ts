/**
 * What the queue aims at, worked out of how fast the links serve it: CoDel's target and interval, the
 * longest stay, the hard limit, the realtime class's share. Pure arithmetic; times in microseconds,
 * rates in octets a microsecond.
 */
import { MS, SECOND } from "../../core/time.ts";

/** How the links serve the queue at this moment. */
export interface Service {
  /** Octets a microsecond that the links deliver together; 0: none is known to deliver. */
  readonly rate: number;
  /** A guess of the inner flows' round trip. */
  readonly intervalUs: number;
  /** Waiting that is wanted for other reasons: a fast link may be worth waiting for. */
  readonly allowanceUs: number;
  /** The links have not found their capacity: waiting says nothing about the senders yet. */
  readonly starting: boolean;
}

/** A full packet with its Ethernet header: RFC 8290 section 5.2.3's quantum. */
export const PACKET_OCTETS = 1514;

/**
 * RFC 8289 section 4.3 asks for 5 to 10 % of the interval. Flows do not wait for each other here, so
 * that a long queue is its own sender's affair, and one flow alone carries 1 to 3 % more at 10 %.
 */
const TARGET_OF_INTERVAL = 1 / 10;
/** Slow links: RFC 8290 section 5.2.1 asks for at least the time of one packet. */
const TARGET_PACKETS = 1.5;
/** RFC 8289 section 4.3: 100 ms suits round trips from 10 ms to 1 s; longer only where it is known. */
const INTERVAL_MIN_US = 100 * MS;
const INTERVAL_MAX_US = 300 * MS;
/** Below 100 kbit/s the time of a packet is taken as if it were 100 kbit/s. */
const PACKET_US_MAX = 120 * MS;

/**
 * Longest wait: CoDel acts only while packets leave, and what is older serves nobody. An interval
 * passes before CoDel says something and a round trip before the sender hears; less, and a flow that
 * starts loses by the hundred what one loss would have told.
 */
const STAY_INTERVALS = 2;
export const QUEUE_DELAY_MAX_US = STAY_INTERVALS * INTERVAL_MIN_US;
/** Voice that is older is not played any more. */
const REALTIME_STAY_US = 100 * MS;
/** On slow links some packets more, or the last of a handful would die of its elders. */
const STAY_PACKETS = 4;
/** While the links start, senders run a round trip ahead of them. */
const STAY_STARTING_ROUNDS = 1.5;
const STAY_STARTING_MAX_US = 1 * SECOND;

/** Hard limit: this long at the links' rate, within bounds in octets, and a bound in packets. */
const LIMIT_US = 250 * MS;
const LIMIT_BYTES_MIN = 256 * 1024;
/** While the links start, their rate says little, and a sender's slow start is a round trip ahead of them. */
const LIMIT_BYTES_STARTING = 1024 * 1024;
export const QUEUE_BYTES_MAX = 8 * 1024 * 1024;
export const QUEUE_PACKETS_MAX = 8192;

/** What the realtime class may take of the rate; two voice calls on a slow link, never over half. */
const REALTIME_SHARE = 1 / 4;
const REALTIME_RATE_MIN = 0.025;
const REALTIME_SHARE_MAX = 1 / 2;
/** Before anybody has said what the links do: 10 Gbit/s, that is, no limit but the fixed ones. */
const UNTUNED_RATE = 1250;

export class Tuning {
  targetUs = TARGET_OF_INTERVAL * INTERVAL_MIN_US;
  intervalUs = INTERVAL_MIN_US;
  stayUs = QUEUE_DELAY_MAX_US;
  realtimeStayUs = REALTIME_STAY_US;
  /** What a full packet takes at the links' rate; 0 while that is unknown. */
  packetUs = 0;
  limitBytes = QUEUE_BYTES_MAX;
  realtimeRate = REALTIME_SHARE * UNTUNED_RATE;
  starting = false;

  set({ rate, intervalUs, allowanceUs, starting }: Service): void {
    const packetUs = rate > 0 ? Math.min(PACKET_OCTETS / rate, PACKET_US_MAX) : 0;
    this.packetUs = packetUs;
    const roundUs = clamp(intervalUs, INTERVAL_MIN_US, INTERVAL_MAX_US);
    const leastUs = TARGET_OF_INTERVAL * roundUs;
    this.targetUs = Math.max(leastUs, TARGET_PACKETS * packetUs) + allowanceUs;
    // The waiting that the target allows is a part of the round trip that senders see.
    this.intervalUs = roundUs + this.targetUs - leastUs;
    const spareUs = allowanceUs + STAY_PACKETS * packetUs;
    const stayUs = STAY_INTERVALS * roundUs + spareUs;
    this.realtimeStayUs = REALTIME_STAY_US + spareUs;
    const aheadUs = Math.min(STAY_STARTING_ROUNDS * intervalUs, STAY_STARTING_MAX_US);
    this.stayUs = starting ? Math.max(stayUs, aheadUs) : stayUs;
    const limitMin = starting ? LIMIT_BYTES_STARTING : LIMIT_BYTES_MIN;
    this.limitBytes = clamp(rate * LIMIT_US, limitMin, QUEUE_BYTES_MAX);
    const realtimeMin = Math.min(REALTIME_RATE_MIN, REALTIME_SHARE_MAX * rate);
    this.realtimeRate = Math.max(REALTIME_SHARE * rate, realtimeMin);
    this.starting = starting;
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
