/**
 * Which packets are lost: a Gilbert model (E. N. Gilbert 1960, the two-state case of
 * Gilbert-Elliott where the bad state loses everything and the good one nothing).
 *
 *            p                         share lost    loss  = p / (p + r)
 *    good ------> bad                  mean run      burst = 1 / r
 *         <------
 *            r                         so r = 1 / burst, p = loss / (burst (1 - loss))
 *
 * With `burst` 1 and a small share this is nearly, but not quite, independent loss (two lost
 * packets would never stand together), so runs of one are drawn independently.
 */
import type { SeededRandom } from "../../src/core/random.ts";

export class LossModel {
  readonly #random: SeededRandom;
  #bad = false;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Whether the next packet is lost. `loss` 0..1, `burst` 1 and up. */
  next(loss: number, burst: number): boolean {
    if (loss <= 0) {
      this.#bad = false;
      return false;
    }
    if (loss >= 1) return true;
    if (burst <= 1) return this.#random.next() < loss;
    const change = this.#bad ? 1 / burst : loss / (burst * (1 - loss));
    if (this.#random.next() < change) this.#bad = !this.#bad;
    return this.#bad;
  }
}
