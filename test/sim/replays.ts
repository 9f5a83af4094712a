/**
 * Which messages of each link have come, as the addon's replay windows know it (`src/native/replay.h`): a
 * second copy of a message never reaches a link.
 */

/** Numbers below the highest by this much are too old. */
const WINDOW = 8192;
const LINKS = 16;

export class Replays {
  /** DATA and the other messages of each link have numbers of their own. */
  readonly #windows = Array.from({ length: 2 * LINKS }, () => new Window());

  /** Notes a message. False: it has come before, or is too old to tell. */
  fresh(link: number, data: boolean, seq: number): boolean {
    return (this.#windows[2 * link + (data ? 1 : 0)] as Window).fresh(seq);
  }
}

class Window {
  #seen = new Float64Array(0);
  #highest = -1;

  fresh(seq: number): boolean {
    if (this.#seen.length === 0) this.#seen = new Float64Array(WINDOW).fill(-1);
    if (seq <= this.#highest - WINDOW) return false;
    if (seq > this.#highest) this.#highest = seq;
    if (this.#seen[seq % WINDOW] === seq) return false;
    this.#seen[seq % WINDOW] = seq;
    return true;
  }
}
