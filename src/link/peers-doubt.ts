/**
 * The peer's doubt of a link that both directions share. A TCP connection that is cut one way dies in both, and one end
 * misses answers before the other: the kernel goes on delivering what it has, and round trips are known better by who
 * sends more. Who doubts a link reports by another one, and does so again and again: the way that reports take is news.
 *
 *   by the link, by another     the peer has begun to doubt. If that lasts, so do we: a packet that TCP repeats
 *                               holds up those behind it for as long as a short doubt
 *   by another, by another      it still does: what these acknowledge is no sign of life
 *   by the link                 it no longer does
 */
import { MS, NEVER, type TimeUs } from "../core/time.ts";
import type { Life } from "./life.ts";

/** A doubt of the peer's that is shorter is his alone. */
const LASTS_US = 30 * MS;

export class PeersDoubt {
  /** The first report that came by another link after one by the link itself; Infinity: none has. */
  #sinceUs: TimeUs = NEVER;
  #byLink = false;
  #doubts = false;

  /**
   * A report has come.
   *
   * @param own - by the link itself
   * @param progress - it acknowledges something new; without that one by the link itself may be older than others
   * @returns whether the peer has doubted the link for a while, which was up
   */
  reported(nowUs: TimeUs, own: boolean, progress: boolean, life: Life): boolean {
    if (own && !progress) return this.#doubts;
    const alive = life.tag === "up" || life.tag === "suspect";
    if (own || !alive) {
      this.#sinceUs = NEVER;
      this.#doubts = false;
    } else if (life.tag === "up") {
      if (this.#byLink) this.#sinceUs = nowUs;
      if (nowUs - this.#sinceUs >= LASTS_US) this.#doubts = true;
    }
    this.#byLink = own;
    return this.#doubts;
  }
}
