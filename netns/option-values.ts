/** The numbers and lists that the lab and the benchmarks are given as text. */
import { InvalidArgumentError } from "commander";

/** The longest flow of iperf3, in seconds; as minutes, two months. */
const LENGTH_MAX = 86_400;

/** A length of time above 0, in the option's unit. @throws InvalidArgumentError */
export function readLength(text: string): number {
  const value = readLengthOrZero(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("a number above 0 is needed");
}

/** A length of time, or none at all. @throws InvalidArgumentError */
export function readLengthOrZero(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= LENGTH_MAX) return value;
  throw new InvalidArgumentError(`a number up to ${LENGTH_MAX} is needed`);
}

/** `1`, `20`. @throws InvalidArgumentError */
export function readCount(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a whole number, 1 or more, is needed");
}

/** `1,16`. @throws InvalidArgumentError */
export function readCounts(text: string): readonly number[] {
  return text.split(",").map(readCount);
}

/** Reads some of `known`, with commas between. The reader throws InvalidArgumentError. */
export function listOf<T extends string>(known: readonly T[]): (text: string) => readonly T[] {
  return (text) =>
    text.split(",").map((name) => {
      const found = known.find((one) => one === name);
      if (found !== undefined) return found;
      throw new InvalidArgumentError(`there are ${known.join(", ")}`);
    });
}
