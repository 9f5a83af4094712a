/** Intervals of shares, quantiles, jitter (RFC 3550) and growth of a delay, against known values. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../src/core/random.ts";
import { delayGrowthUs, jitterUs, quantile, spreadOf, wilson } from "../../src/probe/statistics.ts";

// biome-ignore format: a table reads in columns
const TABLE: readonly [hits: number, trials: number, low: number, high: number][] = [
  // From the formula with z = 1.96, as printed in textbooks.
  [0,     0, 0,      1     ],
  [0,    10, 0,      0.2775],
  [1,    10, 0.0179, 0.4042],
  [5,    10, 0.2366, 0.7634],
  [10,   10, 0.7225, 1     ],
  [15,  148, 0.0624, 0.1605],
];

for (const [hits, trials, low, high] of TABLE) {
  test(`${hits} of ${trials} lie between ${low} and ${high}`, () => {
    const interval = wilson(hits, trials);
    assert.ok(Math.abs(interval.low - low) < 1e-3, `${interval.low}`);
    assert.ok(Math.abs(interval.high - high) < 1e-3, `${interval.high}`);
  });
}

test("the interval holds the true share about 95 times of 100", () => {
  const random = new SeededRandom(11);
  let inside = 0;
  const runs = 2000;
  for (let run = 0; run < runs; run += 1) {
    const share = random.next() * 0.3;
    let hits = 0;
    for (let trial = 0; trial < 200; trial += 1) if (random.next() < share) hits += 1;
    const { low, high } = wilson(hits, 200);
    if (low <= share && share <= high) inside += 1;
  }
  assert.ok(inside / runs > 0.93 && inside / runs < 0.975, `${inside} of ${runs}, seed 11`);
});

test("quantiles are values that occur, by nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.deepEqual(
    [0, 0.5, 0.99, 1].map((share) => quantile(hundred, share)),
    [1, 50, 99, 100],
  );
  assert.equal(quantile([], 0.5), null);
  assert.deepEqual(spreadOf([3, 1, 2]), { count: 3, min: 1, median: 2, p99: 3 });
  assert.equal(spreadOf([]), null);
});

test("the median has as many values below as above", () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
      const { median, min, p99 } = spreadOf(values) ?? assert.fail();
      const below = values.filter((value) => value < median).length;
      const above = values.filter((value) => value > median).length;
      assert.ok(below <= values.length / 2 && above <= values.length / 2);
      assert.ok(min <= median && median <= p99);
    }),
  );
});

test("jitter is that of RFC 3550: none for a constant transit, an offset of clocks cancels", () => {
  assert.equal(jitterUs([5]), null);
  assert.equal(jitterUs([5000, 5000, 5000]), 0);
  assert.equal(jitterUs([0, 1600]), 100);
  assert.equal(jitterUs([0, 1600, 0]), 100 + (1600 - 100) / 16);
  const transits = [10, 250, 30, 900, 5];
  assert.equal(jitterUs(transits), jitterUs(transits.map((transit) => transit - 1e9)));
});

test("a queue that fills grows the delay, a constant path does not", () => {
  const steps = Array.from({ length: 100 }, (_, index) => index * 100);
  assert.equal(delayGrowthUs(steps), 7500);
  assert.equal(delayGrowthUs(steps.map(() => 40)), 0);
  assert.equal(delayGrowthUs([1, 2, 3]), null);
});
