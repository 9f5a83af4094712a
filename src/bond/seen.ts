/**
 * Which order numbers have come: so that a second copy is told however late it comes. Reaches further back
 * than any copy can be late: a repair is tried for half a second, which is 600 000 packets at 10 Gbit/s.
 */

/** A power of two: a million packets, 128 KiB. */
const WINDOW = 2 ** 20;
const WORD_BITS = 32;

export class Seen {
  /** One bit a number; absent before the first. */
  #words = new Uint32Array(0);
  /** Highest number entered. */
  #highest = -1;

  /** Notes that `order` (64 bits) has come. False: it had, or it is too old to tell. */
  add(order: number): boolean {
    if (this.#words.length === 0) this.#words = new Uint32Array(WINDOW / WORD_BITS);
    if (order <= this.#highest - WINDOW) return false;
    if (order > this.#highest) this.#advance(order);
    const at = (order % WINDOW) >>> 5;
    const bit = 1 << (order % WORD_BITS);
    const word = this.#words[at] as number;
    if ((word & bit) !== 0) return false;
    this.#words[at] = word | bit;
    return true;
  }

  /** Forgets what the new numbers take the place of. */
  #advance(order: number): void {
    const from = this.#highest < 0 ? order : this.#highest + 1;
    this.#highest = order;
    if (order - from >= WINDOW) {
      this.#words.fill(0);
      return;
    }
    for (let entering = from; entering <= order; entering += 1) {
      const at = (entering % WINDOW) >>> 5;
      this.#words[at] = (this.#words[at] as number) & ~(1 << (entering % WORD_BITS));
    }
  }
}
