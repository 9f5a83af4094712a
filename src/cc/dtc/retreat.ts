/**
 * Whether giving way helps. A queue that is ours becomes shorter by dW / rate when the window becomes
 * smaller by dW; if round trips do not follow, the delay is not ours (a longer path, more jitter, a rival)
 * and to shrink further only starves us.
 */

/** A fall that can be told from noise: timers, and the jitter of the path. */
const FALL_MIN_US = 3_000;
const FALL_JITTER = 0.5;
/** Of the predicted fall this part must be seen. */
const SEEN = 0.3;
/** Round trips that rise by this are not yet what our window makes of them: begin anew. */
const RISE_US = 2_000;

export interface RetreatRound {
  readonly windowBytes: number;
  /** Octets per microsecond. */
  readonly rate: number;
  /** Mean queue of the round. */
  readonly queueUs: number;
  readonly jitterUs: number;
  /** The law sees too long a queue. */
  readonly queued: boolean;
}

export class Retreat {
  /** The window became smaller and the delay did not: stay. */
  futile = false;
  #windowBytes = 0;
  #rate = 0;
  #queueUs = 0;
  #anchored = false;
  /** The window with which the packets of this round were sent. */
  #sentWindowBytes = 0;

  onRound(round: RetreatRound): void {
    const sentWindowBytes = this.#sentWindowBytes;
    this.#sentWindowBytes = round.windowBytes;
    if (!round.queued || round.rate === 0) {
      this.reset();
      return;
    }
    const rose = round.queueUs > this.#queueUs + RISE_US + round.jitterUs / 2;
    if (!this.#anchored || rose || sentWindowBytes > this.#windowBytes) {
      this.#anchor(round, sentWindowBytes);
      return;
    }
    const predictedUs = (this.#windowBytes - sentWindowBytes) / this.#rate;
    if (predictedUs < FALL_MIN_US + FALL_JITTER * round.jitterUs) return;
    this.futile = this.#queueUs - round.queueUs < SEEN * predictedUs;
    if (!this.futile) this.#anchor(round, sentWindowBytes);
  }

  reset(): void {
    this.futile = false;
    this.#anchored = false;
  }

  #anchor(round: RetreatRound, windowBytes: number): void {
    this.#anchored = true;
    this.futile = false;
    this.#windowBytes = windowBytes;
    this.#rate = round.rate;
    this.#queueUs = round.queueUs;
  }
}
