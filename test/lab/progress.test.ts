/** How a flow got on, from the intervals of its receiver. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { longestStall, rateBetween } from "../../netns/load/progress.ts";

/** Tenths of a second with so many bits per second each. */
function flow(rates: readonly number[]) {
  return { intervals: rates.map((rate, index) => ({ end: (index + 1) / 10, rate })) };
}

const near = (value: number, expected: number) => Math.abs(value - expected) < 1e-9;

test("the longest stall is that of neighbouring intervals without an octet", () => {
  assert.ok(near(longestStall(flow([5, 0, 5, 0, 0, 0, 5, 0]), 0), 0.3));
});

test("a stall that lasts to the end counts, and what was before the start does not", () => {
  assert.ok(near(longestStall(flow([0, 0, 0, 0, 5, 5, 0, 0]), 0.4), 0.2));
});

test("a flow that reports nothing stood for ever", () => {
  assert.equal(longestStall({ intervals: [] }, 0), Number.POSITIVE_INFINITY);
});

test("a rate is the mean of the intervals that end in the part", () => {
  assert.equal(rateBetween(flow([1, 2, 3, 4]), 0.1, 0.3), 2.5);
});
