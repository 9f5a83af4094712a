/** What `npm run bench` understands, and that it refuses the rest before anything is measured. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidArgumentError } from "commander";
import {
  listOf,
  oneOf,
  readLength,
  readLengthOrZero,
  readTimes,
} from "../../netns/bench/bench-options.ts";

test("lengths may be fractions", () => {
  assert.equal(readLength("0.5"), 0.5);
  assert.equal(readLength("600"), 600);
  assert.equal(readLengthOrZero("0"), 0);
});

test("lists keep their order", () => {
  assert.deepEqual(listOf(["up", "down"])("down,up"), ["down", "up"]);
  assert.equal(oneOf(["up", "down"])("up"), "up");
  assert.equal(readTimes("5"), 5);
});

const refused: readonly (readonly [string, (text: string) => unknown, readonly string[]])[] = [
  ["length", readLength, ["", "x", "0", "0.0", "-1", "NaN", "Infinity", "1e3", "5s", "1000001"]],
  ["length or none", readLengthOrZero, ["", "x", "-1", " 1", "1."]],
  ["times", readTimes, ["", "0", "1.5", "three", "-2", "1000001"]],
  ["list", listOf(["raw", "udp"]), ["", "raw,", "raw,sctp", "RAW"]],
  ["one", oneOf(["raw", "udp"]), ["", "raw,udp"]],
];
for (const [name, read, texts] of refused) {
  test(`${name}: what is none is refused`, () => {
    for (const text of texts) assert.throws(() => read(text), InvalidArgumentError, text);
  });
}
