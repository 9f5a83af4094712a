/** How much may leave: a token bucket that bursts of one train pass, and a total. */
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";

/** A burst of 100 packets of 600 octets. */
const DEPTH_OCTETS = 65_536;
/** Octets beyond a body: outer headers, preamble and tag. */
const CARRIAGE_OCTETS = 72;
/** Answers may leave beside a train that uses its whole rate. */
const HEADROOM = 1.25;
/** Octets that one session sends on one link in its whole life. */
export const SESSION_OCTETS_MAX = 256 * 2 ** 20;

export class Budget {
  /** Nothing may leave before. */
  freeUs: TimeUs = 0;
  readonly #octetsPerUs: number;
  #octets = DEPTH_OCTETS;
  #filledUs: TimeUs = Number.NaN;
  #left = SESSION_OCTETS_MAX;

  /** @param rate - bits a second */
  constructor(rate: number) {
    this.#octetsPerUs = (HEADROOM * rate) / 8 / SECOND;
  }

  /** False: not now, see `freeUs`. */
  take(nowUs: TimeUs, bodyOctets: number): boolean {
    const octets = bodyOctets + CARRIAGE_OCTETS;
    if (octets > this.#left) {
      this.freeUs = NEVER;
      return false;
    }
    const passedUs = Number.isNaN(this.#filledUs) ? 0 : Math.max(0, nowUs - this.#filledUs);
    this.#octets = Math.min(DEPTH_OCTETS, this.#octets + passedUs * this.#octetsPerUs);
    this.#filledUs = nowUs;
    if (octets > this.#octets) {
      this.freeUs = nowUs + Math.ceil((octets - this.#octets) / this.#octetsPerUs);
      return false;
    }
    this.freeUs = 0;
    this.#octets -= octets;
    this.#left -= octets;
    return true;
  }
}
