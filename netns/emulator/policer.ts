/**
 * A policer (RFC 2475 section 2.3.3.4): a bucket of octets that fills at a rate. A packet that finds
 * enough in it passes and takes its octets; one that does not is dropped. Nothing waits.
 */
import { SECOND, type TimeUs } from "../../src/core/time.ts";

export class Policer {
  #octets = Number.POSITIVE_INFINITY;
  #lastUs: TimeUs = 0;

  /** Whether a packet passes. `rate`: bits per second, 0 for no policing; `bucket`: its depth in octets. */
  passes(packetOctets: number, nowUs: TimeUs, rate: number, bucket: number): boolean {
    if (rate === 0) return true;
    const filled = ((nowUs - this.#lastUs) * rate) / (8 * SECOND);
    this.#octets = Math.min(bucket, this.#octets + filled);
    this.#lastUs = nowUs;
    if (this.#octets < packetOctets) return false;
    this.#octets -= packetOctets;
    return true;
  }
}
