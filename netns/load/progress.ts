/** How a flow got on, from the intervals of its receiver. Pure. */
import type { Flow } from "./iperf.ts";

type Intervals = Pick<Flow, "intervals">;

/** Mean rate of the intervals that end within a part of the run, seconds; bits per second. */
export function rateBetween({ intervals }: Intervals, from: number, to: number): number {
  const rates = intervals.filter(({ end }) => end > from && end <= to).map(({ rate }) => rate);
  return rates.reduce((sum, rate) => sum + rate, 0) / Math.max(1, rates.length);
}

/**
 * Seconds of the longest time in which the receiver got nothing, from `from` on; a flow that reports
 * nothing at all stood for ever.
 */
export function longestStall({ intervals }: Intervals, from: number): number {
  let [longest, since] = [0, 0];
  for (const { end, rate } of intervals) {
    if (rate > 0 || end <= from) since = end;
    else longest = Math.max(longest, end - since);
  }
  return intervals.length === 0 ? Number.POSITIVE_INFINITY : longest;
}

/** Over so long a rate counts as reached. */
const REACHED_SECONDS = 0.5;

/** Seconds after `from` until the flow first gets `rate` for half a second; null: never. */
export function secondsToShare(flow: Intervals, from: number, rate: number): number | null {
  for (const { end } of flow.intervals) {
    if (end < from + REACHED_SECONDS) continue;
    if (rateBetween(flow, end - REACHED_SECONDS, end) >= rate) return end - REACHED_SECONDS - from;
  }
  return null;
}
