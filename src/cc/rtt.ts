/** Round-trip time of one link: the estimators of RFC 9002 section 5. Microseconds throughout. */
import { MS } from "../core/time.ts";

/** RFC 9002 section 6.2.2 says 333 ms; a shorter guess makes the first probes of a new link prompt. */
const INITIAL_RTT_US = 200 * MS;
/** Granularity of the timers that will act on these numbers (RFC 9002 section 6.1.2). */
export const GRANULARITY_US = 1 * MS;

/**
 * A sample counts for no more than this above the mean. A process that was stopped for a minute reads answers that are a
 * minute old; taken as they are, they would keep silence unnoticed and the pace at nothing for many round trips.
 */
const STEP_MAX_US = 1_000 * MS;

/** After an absence so many samples may replace what is known, if they are lower. */
const SETTLING = 16;

export class Rtt {
  srttUs = INITIAL_RTT_US;
  varUs = INITIAL_RTT_US / 2;
  minUs = Number.POSITIVE_INFINITY;
  latestUs = INITIAL_RTT_US;
  hasSample = false;
  #settling = 0;

  /**
   * @param sampleUs - send to feedback, above 0
   * @param ackDelayUs - how long the peer held the feedback back
   * @param own - the feedback came back on the link itself; if not, it says nothing of its minimum
   */
  sample(sampleUs: number, ackDelayUs: number, own: boolean): void {
    this.latestUs = sampleUs;
    // Section 5.2: the minimum is taken before the peer's delay, which only the peer knows, comes off.
    if (own) this.minUs = Math.min(this.minUs, sampleUs);
    // Section 5.3: the subtraction may not bring a sample below the minimum.
    const plausible = !own || sampleUs >= this.minUs + ackDelayUs;
    const exact = plausible ? Math.max(sampleUs - ackDelayUs, 1) : sampleUs;
    const adjusted = this.hasSample ? Math.min(exact, this.srttUs + STEP_MAX_US) : exact;
    const replaces = this.#settling > 0 && adjusted < this.srttUs;
    if (this.#settling > 0) this.#settling -= 1;
    if (!this.hasSample || replaces) {
      this.hasSample = true;
      this.srttUs = adjusted;
      this.varUs = adjusted / 2;
      return;
    }
    this.varUs += (Math.abs(this.srttUs - adjusted) - this.varUs) / 4;
    this.srttUs += (adjusted - this.srttUs) / 8;
  }

  /** Probe timeout, RFC 9002 section 6.2.1. `maxAckDelayUs`: how long feedback may be held back. */
  ptoUs(maxAckDelayUs: number): number {
    return this.srttUs + Math.max(4 * this.varUs, GRANULARITY_US) + maxAckDelayUs;
  }

  /** Time threshold of loss detection, RFC 9002 section 6.1.2. */
  lossDelayUs(): number {
    return Math.max((9 / 8) * Math.max(this.srttUs, this.latestUs), GRANULARITY_US);
  }

  /**
   * The path is back after an absence. What comes first has waited for that in a TCP connection, for a second or more; the
   * mean of a link with few samples would need as long again to forget it.
   */
  settle(): void {
    this.#settling = SETTLING;
  }

  /** The path changed: old samples say nothing. */
  reset(): void {
    this.srttUs = INITIAL_RTT_US;
    this.varUs = INITIAL_RTT_US / 2;
    this.minUs = Number.POSITIVE_INFINITY;
    this.latestUs = INITIAL_RTT_US;
    this.hasSample = false;
    this.#settling = 0;
  }
}
