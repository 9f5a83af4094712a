/** Where unpredictable octets come from: an argument of the pure layers. */
export type RandomOctets = (count: number) => Uint8Array;

/** Seeded generator for simulations and tests (mulberry32). Not for keys. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 uniform bits. */
  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  octets: RandomOctets = (count) => Uint8Array.from({ length: count }, () => this.uint32() & 0xff);
}
