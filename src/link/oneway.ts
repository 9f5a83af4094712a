/**
 * One-way delay of a link's sending direction, up to an offset that is unknown and the same for all
 * links of a bond: the peer's receive clock minus our send clock. Only differences between links mean
 * something, and those need no synchronised clocks, for offset and drift cancel.
 *
 * The peer's clock travels as the low 32 bits of its microseconds, so everything here is modulo 2^32.
 */
import { MS, SECOND, type TimeUs } from "../core/time.ts";

const MODULUS = 0x1_0000_0000;
/** The smallest delay is that of this long at least, and of twice as long at the most. */
const BASE_WINDOW_US = 10 * SECOND;
/** A delay that changes by more than a round trip and this was measured on a clock that was moved. */
const MOVED_US = 200 * MS;

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

  /**
   * `sentUs` on our clock, `receivedUs` on the peer's, modulo 2^32; `turnUs`: the longest that a round trip
   * takes now. False: the delay cannot have changed so much, one of the clocks was moved (a virtual machine
   * that was paused), and what was known is void.
   */
  sample(nowUs: TimeUs, sentUs: TimeUs, receivedUs: number, turnUs: number): boolean {
    const delayUs = wrap(receivedUs - sentUs);
    const moved = this.known && Math.abs(wrap(delayUs - this.#baseUs)) > turnUs + MOVED_US;
    if (moved) this.reset();
    if (!this.known) {
      this.known = true;
      this.#baseUs = delayUs;
      this.#beginWindow(nowUs, delayUs);
      return !moved;
    }
    if (nowUs - this.#windowSinceUs > BASE_WINDOW_US) {
      this.#baseUs = this.#windowUs;
      this.#beginWindow(nowUs, delayUs);
    }
    if (wrap(delayUs - this.#windowUs) < 0) this.#windowUs = delayUs;
    if (wrap(delayUs - this.#baseUs) < 0) this.#baseUs = delayUs;
    const aboveUs = wrap(delayUs - this.#baseUs);
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
  }

  #beginWindow(nowUs: TimeUs, delayUs: number): void {
    this.#windowUs = delayUs;
    this.#windowSinceUs = nowUs;
  }
}
