/** What counts and times of packets say: intervals, quantiles, jitter. No packet, no clock. */

/** Two-sided 95 % of the normal distribution. */
const Z = 1.959964;

export interface Interval {
  /** 0..1. */
  readonly low: number;
  readonly high: number;
}

/**
 * 95 % confidence interval of a share (Wilson 1927): right for few trials and for shares near 0 and 1,
 * where the usual approximation by a normal distribution is not.
 *
 * @returns 0..1 for no trial at all
 */
export function wilson(hits: number, trials: number): Interval {
  if (trials === 0) return { low: 0, high: 1 };
  const share = hits / trials;
  const square = (Z * Z) / trials;
  const middle = (share + square / 2) / (1 + square);
  const reach =
    (Z / (1 + square)) * Math.sqrt((share * (1 - share)) / trials + square / (4 * trials));
  return { low: Math.max(0, middle - reach), high: Math.min(1, middle + reach) };
}

/**
 * Nearest-rank quantile.
 *
 * @param sorted - ascending
 * @param share - 0..1
 * @returns null of nothing
 */
export function quantile(sorted: readonly number[], share: number): number | null {
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1] ?? null;
}

export interface Spread {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  readonly p99: number;
}

/** Null of nothing. */
export function spreadOf(values: readonly number[]): Spread | null {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  if (min === undefined) return null;
  const median = quantile(sorted, 0.5) ?? min;
  return { count: sorted.length, min, median, p99: quantile(sorted, 0.99) ?? min };
}

/**
 * Interarrival jitter, RFC 3550 section 6.4.1: J += (|D| - J) / 16 over packets in order of arrival.
 *
 * @param transitsUs - arrival less departure of each packet, whatever the offset of the two clocks
 * @returns microseconds; null of fewer than two
 */
export function jitterUs(transitsUs: readonly number[]): number | null {
  if (transitsUs.length < 2) return null;
  let jitter = 0;
  for (let index = 1; index < transitsUs.length; index += 1) {
    const change = Math.abs((transitsUs[index] as number) - (transitsUs[index - 1] as number));
    jitter += (change - jitter) / 16;
  }
  return jitter;
}

/**
 * How much longer packets were under way at the end of a train than at its start: the median of its
 * last quarter less that of its first. A queue that fills shows; a policer does not.
 *
 * @returns microseconds; null of fewer than eight
 */
export function delayGrowthUs(transitsUs: readonly number[]): number | null {
  const quarter = Math.floor(transitsUs.length / 4);
  if (quarter < 2) return null;
  const first = spreadOf(transitsUs.slice(0, quarter))?.median ?? 0;
  const last = spreadOf(transitsUs.slice(-quarter))?.median ?? 0;
  return last - first;
}
