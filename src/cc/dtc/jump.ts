/**
 * A round trip that becomes longer from one packet to the next and then stays as it is: the path has
 * changed (a hand-over, another route). A queue cannot do that: it grows as fast as somebody fills it,
 * and goes on growing or shrinking.
 */

/** Shorter jumps are left to the law and to drains. */
const JUMP_MIN_US = 8_000;
/** "Stays": samples of so many round trips within this range and the path's jitter. */
const LEVEL_US = 3_000;
const LEVEL_ROUNDS = 3;
/** Rest after a false alarm. */
const REST_US = 100_000;

export class Jump {
  /** The suspected jump: round trip before it, range of samples since; 0 when there is none. */
  #sinceUs = 0;
  #beforeUs = 0;
  #minUs = 0;
  #maxUs = 0;
  #roundUs = 0;
  #rounds = 0;
  #restUntilUs = Number.NEGATIVE_INFINITY;

  /** A jump is suspected: what looks like a queue may be none. */
  get suspected(): boolean {
    return this.#sinceUs > 0;
  }

  /**
   * Takes the extremes of one feedback's samples. `standingUs`: before it, of the last round trip;
   * `sentUs`: when its newest packet was sent. By how much the path has become longer; 0: not known to be.
   */
  onAck(ack: JumpSample): number {
    if (this.#sinceUs === 0) {
      const jumped = ack.queueUs > ack.standingUs + JUMP_MIN_US + 2 * ack.noiseUs;
      if (jumped && ack.nowUs >= this.#restUntilUs) this.#suspect(ack);
      return 0;
    }
    this.#minUs = Math.min(this.#minUs, ack.queueUs);
    this.#maxUs = Math.max(this.#maxUs, ack.queueUs);
    if (this.#maxUs - this.#minUs > LEVEL_US + ack.noiseUs) {
      this.#sinceUs = 0;
      this.#restUntilUs = ack.nowUs + REST_US;
      return 0;
    }
    if (ack.sentUs < this.#roundUs) return 0;
    this.#roundUs = ack.nowUs;
    this.#rounds += 1;
    if (this.#rounds < LEVEL_ROUNDS) return 0;
    this.#sinceUs = 0;
    return this.#minUs - this.#beforeUs;
  }

  reset(): void {
    this.#sinceUs = 0;
  }

  #suspect(ack: JumpSample): void {
    this.#sinceUs = ack.nowUs;
    this.#roundUs = ack.nowUs;
    this.#rounds = 0;
    this.#beforeUs = ack.standingUs;
    this.#minUs = ack.queueUs;
    this.#maxUs = ack.queueUs;
  }
}

export interface JumpSample {
  nowUs: number;
  sentUs: number;
  queueUs: number;
  standingUs: number;
  /** What jitter and our own growth explain. */
  noiseUs: number;
}
