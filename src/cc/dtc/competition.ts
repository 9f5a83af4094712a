/**
 * Whose queue is it? A queue much longer than the law leaves calls for a drain; if it stands even then,
 * it belongs to somebody who fills the buffer, and delay says nothing any more: the owner of the window
 * must compete by loss until a drain finds the path empty again. If drain after drain finds the very
 * same round trip, nobody is there: the path itself has become longer.
 */

import { Retreat } from "./retreat.ts";

/** The law's own queue, with room for error. */
const LONG = 1.5;
const LONG_MARGIN_US = 1_000;
/** Rounds of a long queue before a drain is asked for. */
const ROUNDS = 4;
/** What a window of some rounds ago still counts for, a round. */
const WINDOW_DECAY = 0.998;
/** Between drains: until the second of two that are to be compared, and in general. */
const AGAIN_RTTS = 5;
const INTERVAL_US = 1_000_000;
const INTERVAL_RTTS = 10;
/** So many times that, at the most, beside a rival: each drain leaves it our part of the rate for a while. */
const PATIENCE_MAX = 4;
/**
 * Drains in a row that agree within this (or the path's jitter) show a longer path. The queue of a rival
 * moves, though slowly at CUBIC's plateau; where it is short, little is at stake.
 */
const SAME_US = 1_500;
const SAME_SHORT = 2;
const SAME_LONG = 3;
/** So many in a row that find the queue short, or none, tell a rival that has left from one that has just lost. */
const EASED_DRAINS = 3;
/**
 * A rival whose queue is not to be seen may have left: a drain tells. Without it, somebody who competes
 * by loss would live on random loss for ever.
 */
const GONE_US = 2_000_000;
const GONE_RTTS = 20;

/**
 * A queue that falls by this part within a round, our window being steady, is likely somebody's drain:
 * join it, unless the last was a moment ago. Many flows only ever see the empty path together.
 */
const FALL = 0.25;
const FALL_MIN_US = 1_500;
const JOIN_REST_US = 3_000_000;

/** `shared`: others are there who keep the queue short as well; `open`: another drain must tell. */
export type Finding = "alone" | "shared" | "open" | "rival" | "moved";

export interface QueueRound {
  readonly nowUs: number;
  readonly queueUs: number;
  readonly targetUs: number;
  /** Mean queue of the round's samples. */
  readonly meanQueueUs: number;
  /** What the law itself would leave. */
  readonly expectedUs: number;
  readonly rttUs: number;
  readonly windowBytes: number;
  /** The window hardly moved. */
  readonly steady: boolean;
  readonly jitterUs: number;
  /** Octets per microsecond. */
  readonly rate: number;
  readonly competing: boolean;
}

export interface DrainResult {
  readonly nowUs: number;
  /** The shortest queue seen. */
  readonly queueUs: number;
  readonly expectedUs: number;
  readonly jitterUs: number;
  /** A round trip without a queue was seen. */
  readonly empty: boolean;
  readonly competing: boolean;
}

export class Competition {
  /** A drain should tell whose queue it is. */
  drainWanted = false;
  /** The window before the law gave way: a maximum that decays. */
  windowBefore = 0;
  readonly #retreat = new Retreat();
  #rounds = 0;
  #queueUs = 0;
  #drainedUs = Number.NEGATIVE_INFINITY;
  /** What the last drain saw, if it found the queue long or to shrink futile; 0: no such drain. */
  #lastUs = 0;
  /** Drains that agreed so far. */
  #same = 0;
  #eased = 0;
  /** Of the usual interval between drains, doubled by each that finds a rival's queue has moved. */
  #patience = 1;

  /** To give way did not help: the law should not give way further. */
  get futile(): boolean {
    return this.#retreat.futile;
  }

  onRound(round: QueueRound): void {
    const { queueUs, jitterUs, windowBytes } = round;
    const queued = queueUs > round.targetUs && !round.competing;
    const { rate, meanQueueUs } = round;
    this.#retreat.onRound({ windowBytes, rate, queueUs: meanQueueUs, jitterUs, queued });
    this.windowBefore = Math.max(windowBytes, WINDOW_DECAY * this.windowBefore);
    const fallUs = this.#queueUs - queueUs;
    const fell = fallUs > Math.max(FALL * this.#queueUs, FALL_MIN_US, jitterUs);
    this.#queueUs = queueUs;
    const restedUs = round.nowUs - this.#drainedUs;
    if (fell && round.steady && restedUs > JOIN_REST_US) this.drainWanted = true;
    if (round.competing && queueUs < round.targetUs && restedUs > GONE_RTTS * round.rttUs) {
      this.drainWanted ||= restedUs > GONE_US;
    }
    this.#rounds = this.futile || isLong(queueUs, round.expectedUs) ? this.#rounds + 1 : 0;
    if (this.#rounds < (this.futile ? 1 : ROUNDS)) return;
    const again = this.#lastUs > 0 && !isLong(this.#lastUs, round.expectedUs);
    const patience = round.competing ? this.#patience : 1;
    const interval = patience * Math.max(INTERVAL_US, INTERVAL_RTTS * round.rttUs);
    if (restedUs > (again ? AGAIN_RTTS * round.rttUs : interval)) this.drainWanted = true;
  }

  onDrained(drain: DrainResult): Finding {
    const beforeUs = this.#lastUs;
    const long = isLong(drain.queueUs, drain.expectedUs);
    this.drainWanted = false;
    this.#drainedUs = drain.nowUs;
    this.#rounds = 0;
    this.#lastUs = 0;
    if (drain.empty && !drain.competing) return "alone";
    if (!long && drain.competing) return this.#easeUp(drain.empty ? "alone" : "shared");
    this.#eased = 0;
    if (!long && !this.futile) return "shared";
    const same = Math.abs(drain.queueUs - beforeUs) <= Math.max(SAME_US, drain.jitterUs);
    this.#same = beforeUs > 0 && same ? this.#same + 1 : 1;
    const proven = drain.competing && beforeUs > 0 && !same;
    this.#patience = proven ? Math.min(2 * this.#patience, PATIENCE_MAX) : 1;
    if (this.#same >= (long ? SAME_LONG : SAME_SHORT)) {
      this.#retreat.reset();
      return "moved";
    }
    this.#lastUs = drain.queueUs;
    if (long) return "rival";
    return beforeUs > 0 && !same ? "shared" : "open";
  }

  /** The rival may only have been hit by a loss, or lived on what our own window kept in the queue. */
  #easeUp(finding: "alone" | "shared"): Finding {
    this.#eased += 1;
    if (this.#eased < EASED_DRAINS) return "rival";
    this.#eased = 0;
    return finding;
  }

  reset(): void {
    this.drainWanted = false;
    this.windowBefore = 0;
    this.#retreat.reset();
    this.#eased = 0;
    this.#rounds = 0;
    this.#queueUs = 0;
    this.#lastUs = 0;
    this.#drainedUs = Number.NEGATIVE_INFINITY;
  }
}

function isLong(queueUs: number, expectedUs: number): boolean {
  return queueUs > LONG * expectedUs + LONG_MARGIN_US;
}
