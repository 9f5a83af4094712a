/** Keeps a transport that comes and goes from being climbed to again and again. */
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";

/** More switches than this within the period, and the lower transport is kept for a while. */
const SWITCHES_MAX = 3;
const PERIOD_US = 600 * SECOND;
const PINNED_US = 1800 * SECOND;

export class Damping {
  /** Nothing better is tried before this. */
  pinnedUntilUs: TimeUs = -NEVER;
  /** Of the last SWITCHES_MAX switches, oldest first. */
  #switchesUs: TimeUs[] = [];

  record(nowUs: TimeUs): void {
    this.#switchesUs.push(nowUs);
    if (this.#switchesUs.length <= SWITCHES_MAX) return;
    const oldestUs = this.#switchesUs.shift() ?? -NEVER;
    if (nowUs - oldestUs <= PERIOD_US) this.pinnedUntilUs = nowUs + PINNED_US;
  }

  /** The path is another. */
  reset(): void {
    this.#switchesUs = [];
    this.pinnedUntilUs = -NEVER;
  }
}
