/** The numbers and lists that `npm run bench` is given as text. */
import { InvalidArgumentError } from "commander";

/** Far beyond any benchmark, and within what a timer of Node can wait. */
const MOST = 1_000_000;

/** A length of time above 0, in whatever unit the option has. @throws InvalidArgumentError */
export function readLength(text: string): number {
  const value = readLengthOrZero(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("a number above 0 is needed");
}

/** A length of time, or none at all. @throws InvalidArgumentError */
export function readLengthOrZero(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= MOST) return value;
  throw new InvalidArgumentError(`a number up to ${MOST} is needed`);
}

/** How often. @throws InvalidArgumentError */
export function readTimes(text: string): number {
  const value = Number(text);
  if (/^[1-9]\d*$/.test(text) && value <= MOST) return value;
  throw new InvalidArgumentError(`a whole number, 1 to ${MOST}, is needed`);
}

/** A reader of some of `known`, with commas between. The reader throws InvalidArgumentError. */
export function listOf<T extends string>(known: readonly T[]): (text: string) => readonly T[] {
  return (text) => text.split(",").map((name) => oneOf(known)(name));
}

/** A reader of one of `known`. The reader throws InvalidArgumentError. */
export function oneOf<T extends string>(known: readonly T[]): (text: string) => T {
  return (text) => {
    const found = known.find((name) => name === text);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`there are ${known.join(", ")}`);
  };
}
