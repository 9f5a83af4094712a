/**
 * What has been received on one link and when the sender is to be told: the receiving half of
 * feedback. Ranges newest first, as they go into the message; the replay window in `native` has
 * already refused every number seen before.
 */
import { MS, NEVER, type TimeUs } from "../core/time.ts";
import { FEEDBACK_RANGES_MAX, type Feedback } from "../wire/feedback.ts";

/** Feedback messages a round-trip time while data arrives (RFC 9002 wants two, delay-based laws four). */
const PER_RTT = 4;
const INTERVAL_MIN_US = 1 * MS;
/** Also the longest that feedback is held back; the sender's probe timeout reckons with it. */
export const FEEDBACK_DELAY_MAX_US = 25 * MS;

/**
 * Feedback may cost this share of the octets it reports on. Beyond it, it is due every
 * FEEDBACK_DELAY_MAX_US only, which is 26 kbit/s: a slow link's sender still needs its answers.
 */
const BUDGET_SHARE = 0.02;
/** What a FEEDBACK costs on the wire besides its ranges: IPv4, UDP, preamble, body, tag. */
const FEEDBACK_OCTETS = 20 + 8 + 8 + 30 + 16;
const RANGE_OCTETS = 3;
/** Saved up at the most: a few messages. */
const BUDGET_MAX_OCTETS = 10 * FEEDBACK_OCTETS;

/** ECN field values in the traffic class (RFC 3168 section 5). */
const ECN_MASK = 3;
const ECN_CE = 3;

export class Receipts {
  /** Highest sequence number received; -1 before the first. */
  largest = -1;
  packets = 0;
  bytes = 0;
  #largestUs = 0;
  #ceCount = 0;
  #ectCount = 0;
  /** Ranges [from, to], newest first. */
  readonly #from = new Float64Array(FEEDBACK_RANGES_MAX);
  readonly #to = new Float64Array(FEEDBACK_RANGES_MAX);
  #rangeCount = 0;
  #firstUnreportedUs: TimeUs = NEVER;
  #urgent = false;
  /** The sender waits for this report, whatever it costs. */
  #asked = false;
  #budgetOctets = BUDGET_MAX_OCTETS;
  #lastSentUs: TimeUs = Number.NEGATIVE_INFINITY;

  /** Notes a DATA packet of `bytes` octets; `urgent`: its sender wants feedback now. */
  note(nowUs: TimeUs, seq: number, bytes: number, trafficClass: number, urgent: boolean): void {
    this.packets += 1;
    this.bytes += bytes;
    const ecn = trafficClass & ECN_MASK;
    if (ecn === ECN_CE) this.#ceCount += 1;
    else if (ecn !== 0) this.#ectCount += 1;
    // A gap, a late packet, a mark: the sender should know at once.
    this.#asked ||= urgent;
    this.#budgetOctets = Math.min(this.#budgetOctets + BUDGET_SHARE * bytes, BUDGET_MAX_OCTETS);
    this.#urgent ||= seq !== this.largest + 1 || ecn === ECN_CE;
    if (this.#firstUnreportedUs === NEVER) this.#firstUnreportedUs = nowUs;
    if (seq > this.largest) this.#extend(nowUs, seq);
    else this.#insert(seq);
  }

  /** When feedback is due; Infinity when there is nothing to report. */
  deadlineUs(srttUs: number): TimeUs {
    if (this.#firstUnreportedUs === NEVER) return NEVER;
    const pauseUs = this.#budgetOctets > 0 ? INTERVAL_MIN_US : FEEDBACK_DELAY_MAX_US;
    if (this.#asked) return this.#lastSentUs + INTERVAL_MIN_US;
    const earliestUs = this.#lastSentUs + pauseUs;
    if (this.#urgent) return earliestUs;
    const intervalUs = Math.min(Math.max(srttUs / PER_RTT, INTERVAL_MIN_US), FEEDBACK_DELAY_MAX_US);
    // The first packet after a silence is reported at once: a lone packet deserves a round-trip sample.
    if (this.#firstUnreportedUs - this.#lastSentUs > 2 * intervalUs) return earliestUs;
    return Math.max(this.#firstUnreportedUs + intervalUs, earliestUs);
  }

  /** A report is due at once, though it may have nothing new to say: which way it comes is news. */
  repeat(nowUs: TimeUs): void {
    if (this.largest < 0) return;
    if (this.#firstUnreportedUs === NEVER) this.#firstUnreportedUs = nowUs;
    this.#asked = true;
  }

  /** Writes the report and starts a new one. Only after a first packet. */
  report(nowUs: TimeUs, into: Feedback): void {
    into.largest = this.largest % 0x1_0000_0000;
    into.receivedUs = this.#largestUs;
    into.ackDelayUs = nowUs - this.#largestUs;
    into.bytes = this.bytes;
    into.firstUs = Math.max(0, this.#largestUs - this.#firstUnreportedUs);
    into.ceCount = this.#ceCount;
    into.ectCount = this.#ectCount;
    into.rangeCount = this.#rangeCount;
    for (let index = 0; index < this.#rangeCount; index += 1) {
      into.rangeFrom[index] = this.largest - (this.#to[index] as number);
      into.rangeTo[index] = this.largest - (this.#from[index] as number);
    }
    this.#firstUnreportedUs = NEVER;
    this.#urgent = false;
    this.#asked = false;
    const costOctets = FEEDBACK_OCTETS + RANGE_OCTETS * (this.#rangeCount - 1);
    this.#budgetOctets = Math.max(this.#budgetOctets - costOctets, -BUDGET_MAX_OCTETS);
    this.#lastSentUs = nowUs;
  }

  #extend(nowUs: TimeUs, seq: number): void {
    const adjacent = this.#rangeCount > 0 && seq === this.largest + 1;
    this.largest = seq;
    this.#largestUs = nowUs;
    if (adjacent) {
      this.#to[0] = seq;
      return;
    }
    this.#shift(0);
    this.#from[0] = seq;
    this.#to[0] = seq;
  }

  #insert(seq: number): void {
    let index = 0;
    while (index < this.#rangeCount && seq < (this.#from[index] as number)) index += 1;
    // The range before `index` lies above seq, the one at `index` below (or there is none).
    const above = index - 1;
    const joinsAbove = above >= 0 && (this.#from[above] as number) === seq + 1;
    const joinsBelow = index < this.#rangeCount && (this.#to[index] as number) === seq - 1;
    if (joinsAbove && joinsBelow) {
      this.#from[above] = this.#from[index] as number;
      this.#unshift(index);
    } else if (joinsAbove) this.#from[above] = seq;
    else if (joinsBelow) this.#to[index] = seq;
    else if (index < FEEDBACK_RANGES_MAX) {
      this.#shift(index);
      this.#from[index] = seq;
      this.#to[index] = seq;
    }
  }

  /** Makes room at `index`; the oldest range falls off when all are taken. */
  #shift(index: number): void {
    this.#rangeCount = Math.min(this.#rangeCount + 1, FEEDBACK_RANGES_MAX);
    this.#from.copyWithin(index + 1, index, this.#rangeCount - 1);
    this.#to.copyWithin(index + 1, index, this.#rangeCount - 1);
  }

  #unshift(index: number): void {
    this.#from.copyWithin(index, index + 1, this.#rangeCount);
    this.#to.copyWithin(index, index + 1, this.#rangeCount);
    this.#rangeCount -= 1;
  }
}
