/**
 * Flap damping: a link that keeps going down is given back its packets later each time, so that it does not
 * take a part of them along every time. It must answer for a time without a break; not a number of probes,
 * because a fast link answers two dozen within a single short flap.
 *
 * Only short lives count. A satellite's hand-over interrupts a link every 15 s, and it is still well worth using
 * in between; a link that lives for less than eight seconds is not, and it gets 1, 2, 4 ... 30 s to prove
 * itself. The first time is free: most links that go down do so once.
 */
import { SECOND, type TimeUs } from "../core/time.ts";

/** A life shorter than this is a flap; one as long as that makes up for all flaps. */
const SHORT_US = 8 * SECOND;
const LONG_US = 60 * SECOND;
const HOLD_FIRST_US = 1 * SECOND;
const HOLD_MAX_US = 30 * SECOND;

export class Damping {
  /** For how long the link must answer before it carries packets again; microseconds. */
  holdUs = 0;
  #downs = 0;

  /** The link goes down, having been up since `upSinceUs`. */
  down(nowUs: TimeUs, upSinceUs: TimeUs): void {
    const lifeUs = nowUs - upSinceUs;
    this.#downs += 1;
    if (lifeUs >= LONG_US) this.holdUs = 0;
    else if (lifeUs >= SHORT_US)
      this.holdUs = this.holdUs / 2 < HOLD_FIRST_US ? 0 : this.holdUs / 2;
    else if (this.#downs > 1) {
      this.holdUs = Math.min(Math.max(2 * this.holdUs, HOLD_FIRST_US), HOLD_MAX_US);
    }
  }
}
