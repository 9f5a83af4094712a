/**
 * What round-trip times say of a path: its base (the round trip without a queue), the standing round
 * trip (base and the queue that is always there), the jitter that is not ours, and from these the queue
 * that the law aims for, `targetUs`. Microseconds.
 */
import type { AckInfo } from "../controller.ts";

/** Of the standing round trip: a minimum over one to two of these halves of a smoothed round trip. */
const STANDING_SRTTS = 0.5;
const STANDING_MIN_US = 2_000;

/**
 * The queue aimed for. 5 ms is CoDel's target (RFC 8289 section 4.3) and several of our timer ticks;
 * it must not depend on the round-trip time, or flows that share a bottleneck starve each other.
 */
const TARGET_MIN_US = 5_000;
const TARGET_MAX_US = 40_000;
/** Of the range of round trips within a round, this part may come from our own ticks and feedback. */
const JITTER_OWN_US = 3_000;
/** Rounds whose range is remembered, and which of them counts (upper quartile). */
const ROUNDS = 16;
const QUARTILE = 0.75;
/** Samples a round must have for its range to mean something. */
const SAMPLES_MIN = 6;

export class PathDelay {
  baseUs = Number.POSITIVE_INFINITY;
  /** When a round trip without a queue was last seen. */
  baseSeenUs = Number.NEGATIVE_INFINITY;
  jitterUs = 0;
  /** Mean of the last round's samples. */
  roundMeanUs = 0;
  /** Of the ack in hand. */
  ackMinUs = Number.POSITIVE_INFINITY;
  ackMaxUs = 0;
  /** The standing round trip before this ack. */
  beforeUs = Number.POSITIVE_INFINITY;
  #bucketMinUs = Number.POSITIVE_INFINITY;
  #bucketPreviousUs = Number.POSITIVE_INFINITY;
  #bucketEndUs = Number.NEGATIVE_INFINITY;
  #roundMinUs = Number.POSITIVE_INFINITY;
  #roundMaxUs = 0;
  #roundSamples = 0;
  #roundSumUs = 0;
  readonly #ranges = new Float64Array(ROUNDS);
  readonly #sorted = new Float64Array(ROUNDS);
  #rangeCount = 0;

  /** The round trip that the last half to whole round trip never went below. */
  get standingUs(): number {
    const us = Math.min(this.#bucketMinUs, this.#bucketPreviousUs);
    return us === Number.POSITIVE_INFINITY ? this.baseUs : us;
  }

  get queueUs(): number {
    return this.standingUs - this.baseUs;
  }

  get targetUs(): number {
    return Math.min(TARGET_MIN_US + this.jitterUs, TARGET_MAX_US);
  }

  onAck(ack: AckInfo): void {
    if (!ack.own) return;
    this.beforeUs = this.standingUs;
    this.ackMinUs = Math.min(ack.firstRttUs, ack.latestRttUs);
    this.ackMaxUs = Math.max(ack.firstRttUs, ack.latestRttUs);
    if (this.ackMinUs < this.baseUs) this.baseUs = this.ackMinUs;
    if (this.ackMinUs <= this.baseUs + this.toleranceUs) this.baseSeenUs = ack.nowUs;
    this.#stand(ack.nowUs, ack.srttUs);
    this.#roundMinUs = Math.min(this.#roundMinUs, this.ackMinUs);
    this.#roundMaxUs = Math.max(this.#roundMaxUs, this.ackMaxUs);
    this.#roundSamples += 2;
    this.#roundSumUs += ack.firstRttUs + ack.latestRttUs;
  }

  /** A sample this near to the base shows an empty queue: 2 %, or what a timer tick blurs. */
  get toleranceUs(): number {
    return Math.max(0.02 * this.baseUs, 1_000);
  }

  /** `steady`: the window hardly moved, so what moved the samples was not our queue. */
  onRound(steady: boolean, packetUs: number): void {
    if (this.#roundSamples > 0) this.roundMeanUs = this.#roundSumUs / this.#roundSamples;
    if (steady && this.#roundSamples >= SAMPLES_MIN) {
      const own = JITTER_OWN_US + 2 * packetUs;
      this.#range(Math.max(0, this.#roundMaxUs - this.#roundMinUs - own));
    }
    this.#roundMinUs = Number.POSITIVE_INFINITY;
    this.#roundMaxUs = 0;
    this.#roundSamples = 0;
    this.#roundSumUs = 0;
  }

  /** The path has become longer by `us`. */
  shift(us: number, nowUs: number): void {
    this.rebase(this.baseUs + us, nowUs);
    this.#bucketMinUs += us;
    this.#bucketPreviousUs = this.#bucketMinUs;
  }

  /** The round trip without a queue is `baseUs`. */
  rebase(baseUs: number, nowUs: number): void {
    this.baseUs = baseUs;
    this.baseSeenUs = nowUs;
  }

  reset(): void {
    this.baseUs = Number.POSITIVE_INFINITY;
    this.baseSeenUs = Number.NEGATIVE_INFINITY;
    this.jitterUs = 0;
    this.#bucketMinUs = Number.POSITIVE_INFINITY;
    this.#bucketPreviousUs = Number.POSITIVE_INFINITY;
    this.#bucketEndUs = Number.NEGATIVE_INFINITY;
    this.#rangeCount = 0;
    this.#roundSamples = 0;
  }

  #stand(nowUs: number, srttUs: number): void {
    if (nowUs >= this.#bucketEndUs) {
      this.#bucketPreviousUs = this.#bucketMinUs;
      this.#bucketMinUs = this.ackMinUs;
      this.#bucketEndUs = nowUs + Math.max(srttUs * STANDING_SRTTS, STANDING_MIN_US);
      return;
    }
    this.#bucketMinUs = Math.min(this.#bucketMinUs, this.ackMinUs);
  }

  #range(us: number): void {
    this.#ranges[this.#rangeCount % ROUNDS] = us;
    this.#rangeCount += 1;
    const count = Math.min(this.#rangeCount, ROUNDS);
    this.#sorted.fill(Number.POSITIVE_INFINITY);
    for (let index = 0; index < count; index += 1) {
      this.#sorted[index] = this.#ranges[index] as number;
    }
    this.#sorted.sort();
    this.jitterUs = this.#sorted[Math.floor(QUARTILE * (count - 1))] as number;
  }
}
