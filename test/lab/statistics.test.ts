/** Intervals of paired measurements. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { meanInterval, ratioInterval, standing } from "../../netns/statistics.ts";

test("five values have the interval that tables give", () => {
  // Standard deviation 1.5811, standard error 0.7071, t 2.776.
  const { mean, low, high } = meanInterval([1, 2, 3, 4, 5]);
  assert.equal(mean, 3);
  assert.ok(Math.abs(low - 1.037) < 0.001 && Math.abs(high - 4.963) < 0.001, `${low} ${high}`);
});

test("ratios and their reciprocals say the same", () => {
  const ratios = [1.1, 1.2, 0.9, 1.05, 1.3];
  const [one, other] = [ratioInterval(ratios), ratioInterval(ratios.map((ratio) => 1 / ratio))];
  assert.ok(Math.abs(one.low * other.high - 1) < 1e-12);
  assert.ok(Math.abs(one.mean * other.mean - 1) < 1e-12);
});

test("a side is ahead only when the whole interval is", () => {
  assert.equal(standing({ mean: 1.1, low: 1.01, high: 1.2 }, 1), "above");
  assert.equal(standing({ mean: 1.1, low: 0.99, high: 1.2 }, 1), "level");
  assert.equal(standing({ mean: -2, low: -3, high: -1 }, 0), "below");
});

test("one value has no interval, and is level with everything", () => {
  assert.equal(standing(meanInterval([7]), 1), "level");
});
