/** Round-trip time of a TCP model and the timeout that follows (RFC 6298), with Linux's floor of 200 ms. */
import { MS, SECOND } from "../../src/core/time.ts";

const RTO_MIN_US = 200 * MS;
const RTO_MAX_US = 120 * SECOND;

export class TcpRtt {
  srttUs = 0;
  #varUs = 0;

  note(us: number): void {
    if (this.srttUs === 0) {
      this.srttUs = us;
      this.#varUs = us / 2;
      return;
    }
    this.#varUs += (Math.abs(this.srttUs - us) - this.#varUs) / 4;
    this.srttUs += (us - this.srttUs) / 8;
  }

  /** @param backoff - 1, doubled at each timeout in a row */
  timeoutUs(backoff: number): number {
    const us = this.srttUs + Math.max(RTO_MIN_US, 4 * this.#varUs);
    return Math.ceil(Math.min(us * backoff, RTO_MAX_US));
  }
}
