/** A quantity that is constant between given moments: the rate of a link, its delay, its jitter. */
import { MS, type TimeUs } from "../../src/core/time.ts";

/** A constant, or values that hold from given moments (ms) on; the first one also before its moment. */
export type StepsSpec = number | readonly (readonly [atMs: number, value: number])[];

export class Steps {
  readonly #fromUs: Float64Array;
  readonly #values: Float64Array;
  #cursor = 0;

  /** @param factor - what each value is multiplied by to get the unit asked for */
  constructor(spec: StepsSpec, factor: number) {
    const steps = typeof spec === "number" ? [[0, spec] as const] : spec;
    this.#fromUs = Float64Array.from(steps, ([atMs]) => atMs * MS);
    this.#values = Float64Array.from(steps, ([, value]) => value * factor);
  }

  get max(): number {
    return Math.max(...this.#values);
  }

  at(us: TimeUs): number {
    return this.#values[this.#seek(us)] as number;
  }

  /** When `amount` has been served at this rate if service begins at `us`; Infinity: never. */
  served(us: TimeUs, amount: number): TimeUs {
    let index = this.#seek(us);
    let atUs = us;
    let left = amount;
    for (;;) {
      const rate = this.#values[index] as number;
      const endUs = this.#fromUs[index + 1] ?? Number.POSITIVE_INFINITY;
      if (rate > 0 && atUs + left / rate <= endUs) return atUs + left / rate;
      if (endUs === Number.POSITIVE_INFINITY) return endUs;
      left -= (endUs - atUs) * rate;
      atUs = endUs;
      index += 1;
    }
  }

  /** What is served between two moments. */
  integral(fromUs: TimeUs, toUs: TimeUs): number {
    let sum = 0;
    for (let index = 0; index < this.#values.length; index += 1) {
      const startUs = index === 0 ? 0 : (this.#fromUs[index] as number);
      const endUs = this.#fromUs[index + 1] ?? Number.POSITIVE_INFINITY;
      const us = Math.min(endUs, toUs) - Math.max(startUs, fromUs);
      if (us > 0) sum += us * (this.#values[index] as number);
    }
    return sum;
  }

  #seek(us: TimeUs): number {
    const from = this.#fromUs;
    let index = this.#cursor;
    while (index + 1 < from.length && (from[index + 1] as number) <= us) index += 1;
    while (index > 0 && (from[index] as number) > us) index -= 1;
    this.#cursor = index;
    return index;
  }
}
