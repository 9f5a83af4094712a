/** Which packets of a path are lost: by chance, in bursts, by number, or all from one number on. */
import type { SeededRandom } from "../../src/core/random.ts";

export type LossSpec =
  | { readonly kind: "none" }
  /** Each packet with this probability, 0..1. */
  | { readonly kind: "random"; readonly share: number }
  /** Gilbert and Elliott: a bad state in which all is lost, `burst` packets long in the mean. */
  | { readonly kind: "bursts"; readonly share: number; readonly burst: number }
  /** Exactly these packets, counted from 0 in the order in which they were offered. */
  | { readonly kind: "numbers"; readonly numbers: readonly number[] }
  /** Every packet after the first `count`. */
  | { readonly kind: "after"; readonly count: number };

export class LossModel {
  readonly #spec: LossSpec;
  readonly #random: SeededRandom;
  readonly #numbers: ReadonlySet<number>;
  #bad = false;

  constructor(spec: LossSpec, random: SeededRandom) {
    this.#spec = spec;
    this.#random = random;
    this.#numbers = new Set(spec.kind === "numbers" ? spec.numbers : []);
  }

  /** Called once for each packet, in order. */
  loses(number: number): boolean {
    const spec = this.#spec;
    switch (spec.kind) {
      case "none":
        return false;
      case "random":
        return this.#random.next() < spec.share;
      case "bursts":
        return this.#inBurst(spec.share, spec.burst);
      case "numbers":
        return this.#numbers.has(number);
      case "after":
        return number >= spec.count;
    }
  }

  /** Two states: bad is left with 1/burst, and entered so that `share` of all packets fall into it. */
  #inBurst(share: number, burst: number): boolean {
    const leave = 1 / burst;
    const enter = (leave * share) / (1 - share);
    this.#bad = this.#random.next() < (this.#bad ? 1 - leave : enter);
    return this.#bad;
  }
}
