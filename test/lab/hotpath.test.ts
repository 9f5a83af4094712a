/**
 * The way of a packet keeps nothing for it: what a step of the hot path leaves on the heap after a collection.
 * The second least of several measurements counts: what is kept for each packet is there in all of them, and what V8
 * keeps or gives up of its own accord is not.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allocation, hotpathSteps, type Step } from "../../netns/bench/hotpath.ts";

/** Compiled, windows open, rings at their length. */
const WARM_PACKETS = 400_000;
const MEASUREMENTS = 5;
/** The smallest object, a boxed number, has 16. */
const LASTING_OCTETS_MAX = 4;

function lastingOf(step: Step): number {
  step.run(WARM_PACKETS);
  const measured = Array.from({ length: MEASUREMENTS }, () => allocation(step).lasting);
  return measured.sort((a, b) => a - b)[1] as number;
}

for (const step of hotpathSteps()) {
  test(`${step.name}: nothing is left of a packet`, () => {
    const lasting = lastingOf(step);
    assert.ok(lasting <= LASTING_OCTETS_MAX, `${lasting} octets a packet`);
  });
}

test("a boxed number that is kept for each packet is seen", () => {
  const kept: (number | null)[] = new Array(3 * WARM_PACKETS).fill(null);
  let next = 0;
  const run = (packets: number) => {
    for (let index = 0; index < packets; index += 1) {
      kept[next % kept.length] = next + 0.5;
      next += 1;
    }
  };
  const lasting = lastingOf({ name: "keeps", run });
  assert.ok(lasting > LASTING_OCTETS_MAX, `${lasting} octets a packet`);
});
