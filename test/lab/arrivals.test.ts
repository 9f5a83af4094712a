/** What a stream's receiver saw around a moment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { delayBetween, gapBetween, lostBetween, type Trace } from "../../netns/load/arrivals.ts";

/** Numbers sent every 10 ms from 1000 on, with the delay of each; null: it never came. */
function trace(delays: readonly (number | null)[]): Trace {
  const came = delays.flatMap((delay, number) => (delay === null ? [] : [{ number, delay }]));
  const sentMs = came.map(({ number }) => 1_000 + 10 * number);
  return {
    numbers: came.map(({ number }) => number),
    sentMs,
    gotMs: came.map(({ delay }, index) => (sentMs[index] as number) + delay),
  };
}

const steady = trace(Array(10).fill(5));
const holed = trace([5, 5, 5, null, null, 5, 5, null, 5, 5]);

test("a gap counts when it touches the time that is looked at, whole", () => {
  assert.equal(gapBetween(steady, 1_000, 1_100).ms, 10);
  assert.equal(gapBetween(holed, 1_000, 1_100).ms, 30);
  assert.equal(gapBetween(holed, 1_040, 1_045).ms, 30, "it began before and ends after");
  assert.equal(gapBetween(holed, 1_058, 1_068).ms, 20, "the one before is over");
});

test("a gap begins where the packet before it came", () => {
  assert.deepEqual(gapBetween(holed, 1_040, 1_045), { fromMs: 1_025, ms: 30 });
});

test("a stream that stops is silent to the end of the time, one that never came all of it", () => {
  assert.equal(gapBetween(steady, 1_050, 1_500).ms, 405);
  assert.equal(gapBetween(trace([]), 1_000, 1_250).ms, 250);
});

test("the delay is that of packets sent within the time", () => {
  const late = trace([5, 5, 80, 5, 40, 5]);
  assert.equal(delayBetween(late, 1_000, 1_060), 80);
  assert.equal(delayBetween(late, 1_030, 1_060), 40);
});

test("lost are those sent within the time that never came, the last ones too", () => {
  assert.equal(lostBetween(holed, 100, 1_000, 1_090, 10), 3);
  assert.equal(lostBetween(holed, 100, 1_035, 1_060, 10), 1);
  assert.equal(lostBetween(holed, 100, 1_000, 2_000, 14), 7);
});
