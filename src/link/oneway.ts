/**
 * One-way delay of a link's sending direction, up to an offset that is unknown and the same for all
 * links of a bond: the peer's receive clock minus our send clock. Only differences between links mean
 * something, and those need no synchronised clocks, for offset and drift cancel.
 *
 * A clock that was moved (a virtual machine that was paused) must not be taken for a queue, nor a link that
 * was measured before for nearer than one measured since: round trips tell, for they know one clock alone.
 *
 * The peer's clock travels as the low 32 bits of its microseconds, so everything here is modulo 2^32.
 */
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";

const MODULUS = 0x1_0000_0000;
/** The smallest delay is that of this long at least, and of twice as long at the most. */
const BASE_WINDOW_US = 10 * SECOND;
/** A delay that changes by more than a round trip and this was measured on a clock that was moved. */
const MOVED_US = 200 * MS;
/**
 * A delay that exceeds by this what round trips allow for, so many samples and a round trip long, is a step
 * of the clock, or of the path if the way back became shorter by as much: no queue. Jitter both ways is less.
 */
const STEP_MIN_US = 20 * MS;
const STEP_SAMPLES = 4;

/** The number nearest to 0 that is congruent to `us`. */
function wrap(us: number): number {
  const low = ((us % MODULUS) + MODULUS) % MODULUS;
  return low < MODULUS / 2 ? low : low - MODULUS;
}

export class OneWayDelay {
  known = false;
  /** Mean and mean deviation above the smallest delay, smoothed over 8 and 4 samples. */
  queueUs = 0;
  deviationUs = 0;
  /** The smallest delay, offset included. */
  #baseUs = 0;
  /** The smallest of the present window, and when that began. */
  #windowUs = 0;
  #windowSinceUs: TimeUs = 0;
  /** The smallest round trip, and that of the present window; Infinity before the first that is known. */
  #turnMinUs = NEVER;
  #turnWindowUs = NEVER;
  /** Most by which the delay exceeded what round trips allow for, in how many samples in a row, and since when. */
  #stepUs = 0;
  #stepSamples = 0;
  #stepSinceUs: TimeUs = 0;
  /** `queueUs` before those: what was above the base already is no step, whatever the way back does. */
  #beforeUs = 0;

  /**
   * `sentUs` on our clock, `receivedUs` on the peer's, modulo 2^32; `turnUs`: the longest that a round trip
   * takes now; `roundUs`: what this packet's took, less the time its report was held back, or Infinity if the
   * report came over another link. False: the delay cannot have changed so much, one of the clocks was moved,
   * and what was known is void.
   */
  sample(
    nowUs: TimeUs,
    sentUs: TimeUs,
    receivedUs: number,
    turnUs: number,
    roundUs: number,
  ): boolean {
    const delayUs = wrap(receivedUs - sentUs);
    const moved = this.known && Math.abs(wrap(delayUs - this.#baseUs)) > turnUs + MOVED_US;
    if (moved) this.reset();
    if (!this.known) {
      this.known = true;
      this.#baseUs = delayUs;
      this.#beginWindow(nowUs, delayUs);
      this.#turnMinUs = roundUs;
      this.#turnWindowUs = roundUs;
      this.#beforeUs = 0;
      return !moved;
    }
    this.#lower(nowUs, delayUs);
    const highUs = wrap(delayUs - this.#baseUs);
    const aboveUs =
      roundUs === NEVER ? highUs : highUs - this.#step(nowUs, highUs, turnUs, roundUs);
    this.deviationUs += (Math.abs(aboveUs - this.queueUs) - this.deviationUs) / 4;
    this.queueUs += (aboveUs - this.queueUs) / 8;
    return true;
  }

  /** How much longer an empty path of this link takes than one of `other`. Both known. */
  behindUs(other: OneWayDelay): number {
    return wrap(this.#baseUs - other.#baseUs);
  }

  /** The path changed: old samples say nothing. */
  reset(): void {
    this.known = false;
    this.queueUs = 0;
    this.deviationUs = 0;
    this.#stepSamples = 0;
  }

  /** The smallest delay of the last one to two windows. */
  #lower(nowUs: TimeUs, delayUs: number): void {
    if (nowUs - this.#windowSinceUs > BASE_WINDOW_US) {
      this.#baseUs = this.#windowUs;
      this.#turnMinUs = this.#turnWindowUs;
      this.#turnWindowUs = NEVER;
      this.#beginWindow(nowUs, delayUs);
    }
    if (wrap(delayUs - this.#windowUs) < 0) this.#windowUs = delayUs;
    if (wrap(delayUs - this.#baseUs) < 0) this.#baseUs = delayUs;
  }

  /** By how much the empty path has just been found to be longer, if `aboveUs` is more than any queue of the round trip. */
  #step(nowUs: TimeUs, aboveUs: number, turnUs: number, roundUs: number): number {
    // Other links may have told of a queue before the first report comes back on this one.
    if (this.#turnMinUs === NEVER) this.#turnMinUs = roundUs - aboveUs;
    this.#turnMinUs = Math.min(this.#turnMinUs, roundUs);
    this.#turnWindowUs = Math.min(this.#turnWindowUs, roundUs);
    const excessUs = aboveUs - Math.max(roundUs - this.#turnMinUs, this.#beforeUs);
    if (excessUs < STEP_MIN_US) {
      this.#stepSamples = 0;
      this.#beforeUs = this.queueUs;
      return 0;
    }
    if (this.#stepSamples === 0) this.#stepSinceUs = nowUs;
    this.#stepUs = this.#stepSamples === 0 ? excessUs : Math.max(this.#stepUs, excessUs);
    this.#stepSamples += 1;
    if (this.#stepSamples < STEP_SAMPLES || nowUs - this.#stepSinceUs < turnUs) return 0;
    this.#stepSamples = 0;
    // What is too much the next shortest delay takes back.
    this.#baseUs += this.#stepUs;
    // What the window knows is of the time before.
    this.#beginWindow(nowUs, this.#baseUs);
    return this.#stepUs;
  }

  #beginWindow(nowUs: TimeUs, delayUs: number): void {
    this.#windowUs = delayUs;
    this.#windowSinceUs = nowUs;
  }
}
