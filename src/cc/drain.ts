/**
 * The drain: for a moment less in flight than the path holds, so that a round trip without our queue is
 * seen. It ends as soon as one is, or when packets sent into the drained path have shown that the queue
 * is not ours.
 *
 *   idle --begin--> emptying --in flight down--> watching --seen, or watched long enough--> idle
 */
import type { AckInfo } from "./controller.ts";

/** The window gives up this part of the path's content, but no more than this much time of it. */
const CUT_MAX_US = 25_000;
const CUT = 0.75;
/** In flight counts as down at this excess. */
const DOWN = 1.05;
/** Emptying takes no longer than this. */
const EMPTYING_SRTTS = 3;
const EMPTYING_US = 50_000;
/** Packets of this long a time, sent into the drained path, are watched. */
const WATCH_MIN_US = 10_000;

export type DrainEnd = "none" | "empty" | "occupied";

export class Drain {
  running = false;
  windowBytes = 0;
  minUs = Number.POSITIVE_INFINITY;
  #sinceUs = 0;
  /** When in flight was down; -1 before. */
  #downUs = -1;

  begin(nowUs: number, rate: number, restUs: number, floorBytes: number): void {
    this.running = true;
    this.#sinceUs = nowUs;
    this.#downUs = -1;
    this.minUs = Number.POSITIVE_INFINITY;
    this.windowBytes = Math.max(floorBytes, rate * (restUs - Math.min(CUT * restUs, CUT_MAX_US)));
  }

  cancel(): void {
    this.running = false;
  }

  onAck(ack: AckInfo, queueUs: number, restUs: number, toleranceUs: number): DrainEnd {
    this.minUs = Math.min(this.minUs, queueUs);
    if (this.minUs <= toleranceUs) return this.#end("empty");
    if (this.#downUs < 0) {
      const overdue = ack.nowUs - this.#sinceUs > EMPTYING_SRTTS * ack.srttUs + EMPTYING_US;
      if (ack.inFlightBytes - ack.ackedBytes > DOWN * this.windowBytes && !overdue) return "none";
      this.#downUs = ack.nowUs;
    }
    const watchedUs = ack.largestSentUs - this.#downUs;
    return watchedUs > Math.max(WATCH_MIN_US, restUs / 4) ? this.#end("occupied") : "none";
  }

  #end(how: DrainEnd): DrainEnd {
    this.running = false;
    return how;
  }
}
