/**
 * What a few paired measurements say: the mean of their differences, or the geometric mean of their
 * ratios, with a 95 % interval after Student (1908). Pairs are neighbours in time, so that what the
 * machine did beside them is in both. Pure.
 */

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Two-sided 95 % quantiles of Student's t by degrees of freedom, from 1; beyond the last one T_BEYOND. */
const T_95 = [
  ...[12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228],
  ...[2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086],
];
const T_BEYOND = 2.08;

/** Of at least two values; NaN otherwise. */
export function meanInterval(values: readonly number[]): Interval {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  if (count < 2) return { mean, low: Number.NaN, high: Number.NaN };
  const half = (T_95[count - 2] ?? T_BEYOND) * Math.sqrt(squares / (count - 1) / count);
  return { mean, low: mean - half, high: mean + half };
}

/** Of ratios, all above 0: on their logarithms, so that a/b and b/a say the same. */
export function ratioInterval(ratios: readonly number[]): Interval {
  const { mean, low, high } = meanInterval(ratios.map(Math.log));
  return { mean: Math.exp(mean), low: Math.exp(low), high: Math.exp(high) };
}

export type Standing = "above" | "below" | "level";

/** Where an interval lies beside `neutral`: 1 for ratios, 0 for differences. */
export function standing({ low, high }: Interval, neutral: number): Standing {
  if (low > neutral) return "above";
  return high < neutral ? "below" : "level";
}
