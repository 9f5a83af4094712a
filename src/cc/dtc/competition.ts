/**
 * Whose queue is it? A queue much longer than the law leaves calls for a drain; if it stands even then,
 * it belongs to somebody who fills the buffer, and delay says nothing any more: the owner of the window
 * must compete by loss until a drain finds the path empty again. If drain after drain finds the very
 * same round trip, nobody is there: the path itself has become longer.
 */

/** The law's own queue, with room for error. */
const LONG = 1.5;
const LONG_MARGIN_US = 2_000;
/** Rounds of a long queue before a drain is asked for. */
const ROUNDS = 4;
/** Between drains: until the second of two that are to be compared, and in general. */
const AGAIN_RTTS = 5;
const INTERVAL_US = 2_000_000;
const INTERVAL_RTTS = 20;
/** Two drains in a row that agree within this (or the path's jitter) show a longer path. */
const SAME_US = 1_500;

/** In the queue of others a fall by this part within a round is likely somebody's drain: join it. */
const FALL = 0.75;
const JOIN_REST_US = 1_000_000;

/** `shared`: others are there who keep the queue short as well; `open`: another drain must tell. */
export type Finding = "alone" | "shared" | "open" | "rival" | "moved";

export interface QueueRound {
  readonly nowUs: number;
  readonly queueUs: number;
  /** What the law itself would leave. */
  readonly expectedUs: number;
  readonly rttUs: number;
  readonly windowBytes: number;
  /** To shrink has not helped (`Retreat`). */
  readonly futile: boolean;
}

export interface DrainResult {
  readonly nowUs: number;
  /** The shortest queue seen. */
  readonly queueUs: number;
  readonly expectedUs: number;
  readonly jitterUs: number;
  /** A round trip without a queue was seen. */
  readonly empty: boolean;
  readonly futile: boolean;
}

export class Competition {
  /** The window when the queue began to be long. */
  windowBefore = 0;
  #rounds = 0;
  #queueUs = 0;
  #drainedUs = Number.NEGATIVE_INFINITY;
  /** What the last drain saw, if it found the queue long or to shrink futile; 0: no such drain. */
  #lastUs = 0;

  /** True: a drain should tell whose queue it is. */
  onRound(round: QueueRound): boolean {
    const { queueUs } = round;
    const fell = isLong(this.#queueUs, round.expectedUs) && queueUs < FALL * this.#queueUs;
    this.#queueUs = queueUs;
    const restedUs = round.nowUs - this.#drainedUs;
    if (fell && restedUs > JOIN_REST_US) return true;
    if (!round.futile && !isLong(queueUs, round.expectedUs)) {
      this.#rounds = 0;
      return false;
    }
    if (this.#rounds === 0) this.windowBefore = round.windowBytes;
    this.#rounds += 1;
    const intervalUs = Math.max(INTERVAL_US, INTERVAL_RTTS * round.rttUs);
    const rested = restedUs > (this.#lastUs > 0 ? AGAIN_RTTS * round.rttUs : intervalUs);
    return rested && (round.futile || this.#rounds >= ROUNDS);
  }

  onDrained(drain: DrainResult): Finding {
    const beforeUs = this.#lastUs;
    const long = isLong(drain.queueUs, drain.expectedUs);
    this.#drainedUs = drain.nowUs;
    this.#rounds = 0;
    this.#lastUs = 0;
    if (drain.empty) return "alone";
    if (!long && !drain.futile) return "shared";
    if (beforeUs === 0) {
      this.#lastUs = drain.queueUs;
      return "open";
    }
    const same = Math.abs(drain.queueUs - beforeUs) <= Math.max(SAME_US, drain.jitterUs);
    if (same) return "moved";
    return long ? "rival" : "shared";
  }

  reset(): void {
    this.#rounds = 0;
    this.#queueUs = 0;
    this.#lastUs = 0;
    this.#drainedUs = Number.NEGATIVE_INFINITY;
  }
}

function isLong(queueUs: number, expectedUs: number): boolean {
  return queueUs > LONG * expectedUs + LONG_MARGIN_US;
}
