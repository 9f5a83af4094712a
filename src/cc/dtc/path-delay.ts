/**
 * What delays say of a path: the queue of our own direction, the jitter that is not ours, and from these
 * the queue that the law aims for, `targetUs`. Microseconds.
 *
 * Queue and jitter are read from one-way delays, so that neither a congested way back nor a late reading
 * of feedback is taken for a queue. Their offset is unknown and cancels; the drift of two clocks (some
 * 100 ppm, under a millisecond between two drains) is followed down by the minimum and up by `settle`,
 * and round trips bound what it can do: the queue of one direction is not longer than that of both.
 */
import type { AckInfo } from "../controller.ts";

/** The standing delay is a minimum over one to two of these parts of a smoothed round trip. */
const STANDING_SRTTS = 0.5;
const STANDING_MIN_US = 2_000;
/** Weight of a sample in the smoothed rest of the round trip. */
const REST_WEIGHT = 1 / 8;
/**
 * The queue aimed for. 5 ms is CoDel's target (RFC 8289 section 4.3) and several of our timer ticks;
 * it must not depend on the round-trip time, or flows that share a bottleneck starve each other.
 */
const TARGET_MIN_US = 5_000;
const TARGET_MAX_US = 40_000;
/** Of the range of delays within a round, this part may come from our own ticks and feedback. */
const JITTER_OWN_US = 1_500;
const JITTER_OWN_PACKETS = 2;
/** Rounds whose range is remembered, and which of them counts (upper quartile). */
const ROUNDS = 16;
const QUARTILE = 0.75;
/** Samples a round must have for its range to mean something. */
const SAMPLES_MIN = 4;
/** A sample this near to the base shows an empty queue: part of the round trip, or what a tick blurs. */
const TOLERANCE = 0.02;
const TOLERANCE_MIN_US = 1_000;
/** How far one-way delays may exceed what round trips show. */
const DRIFT_MAX_US = 1_000;

/** A path without a sight of its base for so long is to be drained. */
const STALE_US = 8_000_000;
const STALE_RTTS = 40;

/** The base is the smallest median of so many: jitter's rare lucky packet says nothing of the others. */
const MEDIAN_OF = 3;

/** A minimum over the last one to two spans. */
class StandingMin {
  #current = Number.POSITIVE_INFINITY;
  #previous = Number.POSITIVE_INFINITY;
  #endUs = Number.NEGATIVE_INFINITY;

  get value(): number {
    return Math.min(this.#current, this.#previous);
  }

  sample(nowUs: number, us: number, spanUs: number): void {
    if (nowUs < this.#endUs) {
      this.#current = Math.min(this.#current, us);
      return;
    }
    this.#previous = this.#current;
    this.#current = us;
    this.#endUs = nowUs + spanUs;
  }

  shift(us: number): void {
    this.#current += us;
    this.#previous = this.#current;
  }

  reset(): void {
    this.#current = Number.POSITIVE_INFINITY;
    this.#previous = Number.POSITIVE_INFINITY;
    this.#endUs = Number.NEGATIVE_INFINITY;
  }
}

/** The median of the last few values. */
class Median {
  readonly #values = new Float64Array(MEDIAN_OF);
  readonly #sorted = new Float64Array(MEDIAN_OF);
  #next = 0;

  begin(value: number): number {
    this.#values.fill(value);
    return value;
  }

  add(value: number): number {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % MEDIAN_OF;
    this.#sorted.set(this.#values);
    this.#sorted.sort();
    return this.#sorted[(MEDIAN_OF - 1) / 2] as number;
  }
}

export class PathDelay {
  /** When an empty queue was last seen. */
  baseSeenUs = Number.NEGATIVE_INFINITY;
  jitterUs = 0;
  /** Queue as the shortest delay of the newest feedback shows it, and the standing one before it. */
  ackQueueUs = 0;
  beforeUs = 0;
  /** Mean queue of the last round's samples. */
  roundMeanUs = 0;
  /** The empty path's one-way delay, offset included; Infinity before the first sample. */
  #base = Number.POSITIVE_INFINITY;
  /** Round trip less one-way delay: the way back and the offset. */
  #back = 0;
  readonly #lately = new Median();
  readonly #standing = new StandingMin();
  readonly #standingRtt = new StandingMin();
  #rttMinUs = Number.POSITIVE_INFINITY;
  #roundMin = Number.POSITIVE_INFINITY;
  #roundMax = Number.NEGATIVE_INFINITY;
  #roundSum = 0;
  #roundSamples = 0;
  readonly #ranges = new Float64Array(ROUNDS);
  readonly #sorted = new Float64Array(ROUNDS);
  #rangeCount = 0;

  get known(): boolean {
    return this.#base < Number.POSITIVE_INFINITY;
  }

  /** Round trip but for the queue of our direction. */
  get restUs(): number {
    return this.known ? Math.max(this.#base + this.#back, 1) : 1;
  }

  /** The queue that was always there during the last half to whole round trip. */
  get queueUs(): number {
    return this.known ? Math.max(this.#standing.value - this.#base, 0) : 0;
  }

  get targetUs(): number {
    return Math.min(TARGET_MIN_US + this.jitterUs, TARGET_MAX_US);
  }

  get toleranceUs(): number {
    return Math.max(TOLERANCE * this.restUs, TOLERANCE_MIN_US);
  }

  /** The base was not seen for so long that it may have changed. */
  isStale(nowUs: number): boolean {
    return nowUs - this.baseSeenUs > Math.max(STALE_US, STALE_RTTS * this.restUs);
  }

  /** Of a fresh ack. By how much the empty path has become shorter. */
  onAck(ack: AckInfo): number {
    const min = Math.min(ack.firstOneWayUs, ack.oneWayUs);
    const max = Math.max(ack.firstOneWayUs, ack.oneWayUs);
    this.beforeUs = this.queueUs;
    const back = ack.latestRttUs - ack.oneWayUs;
    if (!this.known) this.#back = back;
    else if (ack.own) this.#back += (back - this.#back) * REST_WEIGHT;
    const low = this.known ? this.#lately.add(min) : this.#lately.begin(min);
    const shorterUs = this.known ? Math.max(this.#base - low, 0) : 0;
    this.#base = Math.min(this.#base, low);
    const spanUs = Math.max(ack.srttUs * STANDING_SRTTS, STANDING_MIN_US);
    this.#standing.sample(ack.nowUs, min, spanUs);
    if (ack.own) this.#bound(ack, spanUs, min - this.#base);
    this.ackQueueUs = Math.max(min - this.#base, 0);
    if (this.ackQueueUs <= this.toleranceUs) this.baseSeenUs = ack.nowUs;
    this.#roundMin = Math.min(this.#roundMin, min);
    this.#roundMax = Math.max(this.#roundMax, max);
    this.#roundSum += ack.firstOneWayUs + ack.oneWayUs;
    this.#roundSamples += 2;
    return shorterUs;
  }

  /** `steady`: the window hardly moved and was full, so what moved the samples was not our queue coming and going. */
  onRound(steady: boolean, packetUs: number): void {
    if (this.#roundSamples > 0) {
      this.roundMeanUs = this.#roundSum / this.#roundSamples - this.#base;
    }
    if (steady && this.#roundSamples >= SAMPLES_MIN) {
      const own = JITTER_OWN_US + JITTER_OWN_PACKETS * packetUs;
      this.#range(Math.max(0, this.#roundMax - this.#roundMin - own));
    }
    this.#roundMin = Number.POSITIVE_INFINITY;
    this.#roundMax = Number.NEGATIVE_INFINITY;
    this.#roundSum = 0;
    this.#roundSamples = 0;
  }

  /** What was taken for a queue of `us` is the path itself, which is empty. */
  settle(us: number, nowUs: number): void {
    this.#base += us;
    this.baseSeenUs = nowUs;
  }

  /** The path has become longer by `us`, and the samples so far are void. */
  shift(us: number, nowUs: number): void {
    this.settle(us, nowUs);
    this.#standing.shift(us);
  }

  /** How long the empty path is has to be learnt anew; how much it jitters, not. */
  forget(): void {
    this.baseSeenUs = Number.NEGATIVE_INFINITY;
    this.#base = Number.POSITIVE_INFINITY;
    this.#standing.reset();
    this.#standingRtt.reset();
    this.#rttMinUs = Number.POSITIVE_INFINITY;
    this.#roundMin = Number.POSITIVE_INFINITY;
    this.#roundMax = Number.NEGATIVE_INFINITY;
    this.#roundSamples = 0;
    this.#roundSum = 0;
  }

  reset(): void {
    this.forget();
    this.jitterUs = 0;
    this.#rangeCount = 0;
  }

  /** Against drift: no longer a queue in one direction than both show together. `queueUs`: as this ack shows it. */
  #bound(ack: AckInfo, spanUs: number, queueUs: number): void {
    const rttUs = Math.min(ack.latestRttUs, ack.firstRttUs);
    // After an absence other links may have told of a queue before anything comes back on this one.
    const first = this.#rttMinUs === Number.POSITIVE_INFINITY;
    this.#rttMinUs = first ? rttUs - queueUs : Math.min(this.#rttMinUs, rttUs);
    this.#standingRtt.sample(ack.nowUs, rttUs, spanUs);
    const bothUs = this.#standingRtt.value - this.#rttMinUs;
    this.#base += Math.max(0, this.queueUs - bothUs - DRIFT_MAX_US);
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
