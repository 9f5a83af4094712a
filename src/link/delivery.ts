/**
 * How fast a link delivers, from the peer's own count of octets on the peer's own clock: free of what
 * happens on the way back. A maximum that decays, since a sender with little to send sees little.
 */

/** A sample spans at least this, or half a round trip: shorter ones see bursts. */
const SPAN_MIN_US = 5_000;
/** How much of the way down to a lower sample the estimate goes. */
const DECAY = 0.1;
const MODULUS = 0x1_0000_0000;

export class DeliveryRate {
  /** Octets per microsecond; 0 before the first sample. */
  rate = 0;
  #fromUs = -1;
  #fromBytes = 0;

  /** `receivedUs`, `bytes`: the peer's clock and count when the largest packet came, modulo 2^32. */
  report(receivedUs: number, bytes: number, srttUs: number): void {
    const elapsedUs = (receivedUs - this.#fromUs) % MODULUS;
    const spanUs = elapsedUs < 0 ? elapsedUs + MODULUS : elapsedUs;
    const delivered = (bytes - this.#fromBytes + MODULUS) % MODULUS;
    // A report that overtook another one looks like half the clock's round in the future.
    if (this.#fromUs >= 0 && spanUs > MODULUS / 2) return;
    if (this.#fromUs >= 0 && spanUs < Math.max(SPAN_MIN_US, srttUs / 2)) return;
    if (this.#fromUs >= 0) this.#sample(delivered / spanUs);
    this.#fromUs = receivedUs;
    this.#fromBytes = bytes;
  }

  /** The path changed: old samples say nothing. */
  reset(): void {
    this.rate = 0;
    this.#fromUs = -1;
  }

  #sample(rate: number): void {
    this.rate = rate > this.rate ? rate : this.rate + DECAY * (rate - this.rate);
  }
}
