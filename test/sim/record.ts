/** What a run leaves behind: distributions and sums over equal stretches of time. */
import { MS, SECOND, type TimeUs } from "../../src/core/time.ts";

const BIN_US = 100;
const BINS = 50_000;

/** Durations, exact to 0.1 ms up to 5 s. */
export class Histogram {
  count = 0;
  maxUs = 0;
  sumUs = 0;
  readonly #bins = new Uint32Array(BINS);

  add(us: number): void {
    this.count += 1;
    this.sumUs += us;
    if (us > this.maxUs) this.maxUs = us;
    const bin = us < 0 ? 0 : Math.min(Math.floor(us / BIN_US), BINS - 1);
    this.#bins[bin] = (this.#bins[bin] as number) + 1;
  }

  get meanUs(): number {
    return this.count === 0 ? 0 : this.sumUs / this.count;
  }

  /** The smallest duration that this share (0..1) of all does not exceed, microseconds. */
  quantileUs(share: number): number {
    const wanted = share * this.count;
    let seen = 0;
    for (let bin = 0; bin < BINS; bin += 1) {
      seen += this.#bins[bin] as number;
      if (seen >= wanted && seen > 0) return Math.min((bin + 1) * BIN_US, this.maxUs);
    }
    return this.maxUs;
  }

  quantileMs(share: number): number {
    return this.quantileUs(share) / MS;
  }

  reset(): void {
    this.count = 0;
    this.maxUs = 0;
    this.sumUs = 0;
    this.#bins.fill(0);
  }
}

export const SERIES_STEP_US = 10 * MS;

/** One number for each 10 ms of a run. */
export class Series {
  values = new Float64Array(1024);
  length = 0;

  add(nowUs: TimeUs, amount: number): void {
    const at = this.#at(nowUs);
    this.values[at] = (this.values[at] as number) + amount;
  }

  raise(nowUs: TimeUs, value: number): void {
    const at = this.#at(nowUs);
    if (value > (this.values[at] as number)) this.values[at] = value;
  }

  set(nowUs: TimeUs, value: number): void {
    this.values[this.#at(nowUs)] = value;
  }

  sum(fromUs: TimeUs, toUs: TimeUs): number {
    let sum = 0;
    const to = Math.min(Math.floor(toUs / SERIES_STEP_US), this.length);
    for (let at = Math.floor(fromUs / SERIES_STEP_US); at < to; at += 1) {
      sum += this.values[at] as number;
    }
    return sum;
  }

  max(fromUs: TimeUs, toUs: TimeUs): number {
    let max = 0;
    const to = Math.min(Math.floor(toUs / SERIES_STEP_US), this.length);
    for (let at = Math.floor(fromUs / SERIES_STEP_US); at < to; at += 1) {
      max = Math.max(max, this.values[at] as number);
    }
    return max;
  }

  #at(nowUs: TimeUs): number {
    const at = Math.floor(nowUs / SERIES_STEP_US);
    if (at >= this.values.length) {
      const wider = new Float64Array(Math.max(2 * this.values.length, at + 1));
      wider.set(this.values);
      this.values = wider;
    }
    if (at >= this.length) this.length = at + 1;
    return at;
  }
}

/** Mbit/s of an amount of octets in a time. */
export function mbit(bytes: number, us: number): number {
  return us > 0 ? (bytes * 8) / (us / SECOND) / 1e6 : 0;
}
