/**
 * How fast the window may grow where the path shows that it is not full: alpha's factor, doubled each
 * time the path proves elastic, 1 again as soon as it does not.
 *
 * The proof: on a full path a window that grew by dW has made the queue longer by dW / rate. If round
 * trips rose by less than half of that, what we added was carried, not queued, whatever else (jitter, a
 * base that is wrong) makes them long.
 */

const VELOCITY_MAX = 64;
/** A rise that can be told from noise: timers, and the jitter of the path. */
const RISE_MIN_US = 2_000;
const RISE_JITTER = 0.5;
/** Of the predicted rise this part must be seen, or the path is elastic. */
const SEEN = 0.5;

export interface GrowthRound {
  readonly windowBytes: number;
  /** Octets per microsecond. */
  readonly rate: number;
  /** Mean queue of the round. */
  readonly queueUs: number;
  readonly jitterUs: number;
  /** The window was the limit all along, nothing was lost that matters, the queue is not too long. */
  readonly free: boolean;
}

export class Growth {
  velocity = 1;
  #windowBytes = 0;
  #queueUs = 0;
  #anchored = false;

  onRound(round: GrowthRound): void {
    if (!round.free || round.rate === 0) {
      this.reset();
      return;
    }
    if (!this.#anchored || round.windowBytes < this.#windowBytes) {
      this.#anchor(round);
      return;
    }
    const predictedUs = (round.windowBytes - this.#windowBytes) / round.rate;
    if (predictedUs < RISE_MIN_US + RISE_JITTER * round.jitterUs) return;
    const elastic = round.queueUs - this.#queueUs < SEEN * predictedUs;
    this.velocity = elastic ? Math.min(2 * this.velocity, VELOCITY_MAX) : 1;
    this.#anchor(round);
  }

  reset(): void {
    this.velocity = 1;
    this.#anchored = false;
  }

  #anchor(round: GrowthRound): void {
    this.#anchored = true;
    this.#windowBytes = round.windowBytes;
    this.#queueUs = round.queueUs;
  }
}
