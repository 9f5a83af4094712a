/** The numbers that `mpfwd capture` is given as text. */
import { InvalidArgumentError } from "commander";
import { SNAP_OCTETS_MAX } from "../control/control.ts";

/** What a timer of Node can wait. */
const DURATION_MAX_SECONDS = 2_000_000;
const UNITS: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9 };

/** `500`, `10M`. @throws InvalidArgumentError */
export function readOctets(text: string): number {
  const [, digits, unit = ""] = /^([1-9]\d{0,11})([kMG]?)$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError("octets, such as 500 or 10M");
  return Number(digits) * (UNITS[unit] ?? 1);
}

/** Octets of a packet. @throws InvalidArgumentError */
export function readSnap(text: string): number {
  const value = readOctets(text);
  if (value <= SNAP_OCTETS_MAX) return value;
  throw new InvalidArgumentError(`octets, at most ${SNAP_OCTETS_MAX}`);
}

/** Seconds, such as `0.5`. @throws InvalidArgumentError */
export function readDuration(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= DURATION_MAX_SECONDS) return value;
  throw new InvalidArgumentError(`seconds, at most ${DURATION_MAX_SECONDS}`);
}
