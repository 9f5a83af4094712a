/** Which of the peer's HELLOs came by one transport: what the next HELLO tells the peer. */
import type { TimeUs } from "../core/time.ts";
import { HELLO_BITMAP_BITS, type HelloSeen } from "../wire/hello.ts";

export class Hearing {
  /** When a HELLO came last; -Infinity: never. */
  lastUs: TimeUs = Number.NEGATIVE_INFINITY;
  #highest = 0;
  #bitmap = 0;
  #echo = 0;

  get seen(): HelloSeen {
    return { highest: this.#highest, bitmap: this.#bitmap, echo: this.#echo };
  }

  /** A new nonce begins a new series: the peer's address changed, or the peer began anew. */
  heard(nowUs: TimeUs, number: number, nonce: number): void {
    this.lastUs = nowUs;
    if (nonce !== this.#echo) {
      this.#echo = nonce;
      this.#highest = number;
      this.#bitmap = 0;
      return;
    }
    if (number > this.#highest) {
      const steps = number - this.#highest;
      this.#bitmap = steps > HELLO_BITMAP_BITS ? 0 : this.#advanced(steps);
      this.#highest = number;
      return;
    }
    const age = this.#highest - number;
    if (age > 0 && age <= HELLO_BITMAP_BITS) this.#bitmap |= 1 << (age - 1);
    this.#bitmap >>>= 0;
  }

  /** The old highest becomes bit `steps - 1`; a shift by 32 would be none in JavaScript. */
  #advanced(steps: number): number {
    const shifted = steps === HELLO_BITMAP_BITS ? 0 : this.#bitmap << steps;
    return (shifted | (1 << (steps - 1))) >>> 0;
  }
}
