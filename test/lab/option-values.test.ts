/** Numbers and lists of the lab and the benchmarks: what is understood, and that the rest is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidArgumentError } from "commander";
import {
  listOf,
  readCount,
  readCounts,
  readLength,
  readLengthOrZero,
} from "../../netns/option-values.ts";

test("lengths may be fractions", () => {
  assert.equal(readLength("0.5"), 0.5);
  assert.equal(readLength("600"), 600);
  assert.equal(readLengthOrZero("0"), 0);
});

test("lists keep their order", () => {
  assert.deepEqual(listOf(["up", "down"])("down,up"), ["down", "up"]);
  assert.deepEqual(readCounts("16,1"), [16, 1]);
});

const refused: readonly (readonly [string, (text: string) => unknown, readonly string[]])[] = [
  ["length", readLength, ["", "x", "0", "0.0", "-1", "NaN", "Infinity", "1e3", "5s", "86401"]],
  ["length or none", readLengthOrZero, ["", "x", "-1", " 1", "1."]],
  ["count", readCount, ["", "0", "1.5", "three", "-2", "1e3"]],
  ["counts", readCounts, ["", "1,", "1;2"]],
  ["list", listOf(["raw", "udp"]), ["", "raw,", "raw,sctp", "RAW"]],
];
for (const [name, read, texts] of refused) {
  test(`${name}: what is none is refused`, () => {
    for (const text of texts) assert.throws(() => read(text), InvalidArgumentError, text);
  });
}
