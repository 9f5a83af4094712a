/**
 * HyStart++ (RFC 9406): leaves slow start when round trips grow, by way of a cautious phase that goes
 * back to slow start if the growth was a false alarm. Fed with every round-trip sample; rounds are
 * packet-timed.
 */

/** RFC 9406 section 4.3. */
const MIN_RTT_THRESH_US = 4_000;
const MAX_RTT_THRESH_US = 16_000;
const MIN_RTT_DIVISOR = 8;
const N_RTT_SAMPLE = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;

export class HyStart {
  #roundMinUs = Number.POSITIVE_INFINITY;
  #lastRoundMinUs = Number.POSITIVE_INFINITY;
  #samples = 0;
  /** Conservative slow start: the minimum that started it, infinite outside of it. */
  #cssBaselineUs = Number.POSITIVE_INFINITY;
  #cssRounds = 0;
  /** Slow start is over. */
  done = false;

  /** What the window grows by for `ackedBytes`: all of it in slow start, a quarter in the cautious phase. */
  growth(ackedBytes: number): number {
    return this.#inCss ? ackedBytes / CSS_GROWTH_DIVISOR : ackedBytes;
  }

  sample(rttUs: number): void {
    this.#roundMinUs = Math.min(this.#roundMinUs, rttUs);
    this.#samples += 1;
    if (this.#samples < N_RTT_SAMPLE) return;
    if (this.#inCss) {
      if (this.#roundMinUs < this.#cssBaselineUs) this.#cssBaselineUs = Number.POSITIVE_INFINITY;
      return;
    }
    if (this.#lastRoundMinUs === Number.POSITIVE_INFINITY) return;
    const part = this.#lastRoundMinUs / MIN_RTT_DIVISOR;
    const thresholdUs = Math.min(Math.max(MIN_RTT_THRESH_US, part), MAX_RTT_THRESH_US);
    if (this.#roundMinUs < this.#lastRoundMinUs + thresholdUs) return;
    this.#cssBaselineUs = this.#roundMinUs;
    this.#cssRounds = 0;
  }

  onRound(): void {
    if (this.#inCss) this.#cssRounds += 1;
    if (this.#cssRounds >= CSS_ROUNDS && this.#inCss) this.done = true;
    this.#lastRoundMinUs = this.#roundMinUs;
    this.#roundMinUs = Number.POSITIVE_INFINITY;
    this.#samples = 0;
  }

  reset(): void {
    this.#roundMinUs = Number.POSITIVE_INFINITY;
    this.#lastRoundMinUs = Number.POSITIVE_INFINITY;
    this.#cssBaselineUs = Number.POSITIVE_INFINITY;
    this.#cssRounds = 0;
    this.#samples = 0;
    this.done = false;
  }

  get #inCss(): boolean {
    return this.#cssBaselineUs < Number.POSITIVE_INFINITY;
  }
}
