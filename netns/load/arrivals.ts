/**
 * What a stream's receiver saw around a moment: the longest silence, what came late, what never came.
 * All times are milliseconds on the machine's monotonic clock, which every process of a lab shares.
 */

/** Every arrival in its order, three columns of one length. */
export interface Trace {
  readonly numbers: readonly number[];
  readonly sentMs: readonly number[];
  readonly gotMs: readonly number[];
}

/** The clock that traces use. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A time without an arrival. */
export interface Gap {
  readonly fromMs: number;
  readonly ms: number;
}

/** The longest that touches [`fromMs`, `toMs`]; it may begin before and end after. */
export function gapBetween({ gotMs }: Trace, fromMs: number, toMs: number): Gap {
  let longest: Gap = { fromMs, ms: 0 };
  let beforeMs = Number.NaN;
  const end = (atMs: number) => {
    const beganMs = beforeMs > 0 ? beforeMs : fromMs;
    if (atMs - beganMs > longest.ms) longest = { fromMs: beganMs, ms: atMs - beganMs };
  };
  for (const atMs of gotMs) {
    if (atMs >= fromMs) end(atMs);
    if (atMs > toMs) return longest;
    beforeMs = atMs;
  }
  // Nothing came any more.
  beforeMs = Math.max(beforeMs > 0 ? beforeMs : fromMs, fromMs);
  end(toMs);
  return longest;
}

/** The longest that a packet sent within [`fromMs`, `toMs`] was under way. */
export function delayBetween({ sentMs, gotMs }: Trace, fromMs: number, toMs: number): number {
  let longest = 0;
  sentMs.forEach((atMs, index) => {
    if (atMs < fromMs || atMs > toMs) return;
    longest = Math.max(longest, (gotMs[index] as number) - atMs);
  });
  return longest;
}

/**
 * How many of the packets that were sent within [`fromMs`, `toMs`] never came. A sender that keeps its
 * step sends number n at `first + n / perSecond`.
 */
export function lostBetween(
  trace: Trace,
  perSecond: number,
  fromMs: number,
  toMs: number,
  sent: number,
): number {
  const stepMs = 1_000 / perSecond;
  // It may be late with a packet, and is never early.
  const firstMs = trace.sentMs.reduce(
    (least, atMs, index) => Math.min(least, atMs - (trace.numbers[index] as number) * stepMs),
    Number.POSITIVE_INFINITY,
  );
  const came = new Set(trace.numbers);
  const first = Math.max(0, Math.ceil((fromMs - firstMs) / stepMs));
  const last = Math.min(sent - 1, Math.floor((toMs - firstMs) / stepMs));
  let lost = 0;
  for (let number = first; number <= last; number += 1) if (!came.has(number)) lost += 1;
  return lost;
}

/** When the first of the packets that were sent from `fromMs` on arrived; Infinity: none did. */
export function firstSentAfter({ sentMs, gotMs }: Trace, fromMs: number): number {
  return gotMs.reduce(
    (first, atMs, index) => ((sentMs[index] as number) >= fromMs ? Math.min(first, atMs) : first),
    Number.POSITIVE_INFINITY,
  );
}
