/**
 * Time in the pure layers is an argument: microseconds on one monotonic clock, as an integer-valued
 * double (exact for 285 years). Nothing here reads a clock.
 */
export type TimeUs = number;

export const MS = 1_000;
export const SECOND = 1_000_000;

/** The deadline of something that waits for nothing. */
export const NEVER: TimeUs = Number.POSITIVE_INFINITY;
