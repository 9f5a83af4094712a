/** A device that comes and goes counts as back ever later, and at once again when it has been steady. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { Steadiness } from "../../src/portal/steadiness.ts";

test("the first losses cost no wait, the next ones twice as much each, five seconds at the most", () => {
  const steadiness = new Steadiness();
  const waits: number[] = [];
  for (let nowUs = 0; nowUs < 12 * SECOND; nowUs += SECOND) {
    steadiness.lost(nowUs);
    waits.push((steadiness.found(nowUs + MS) - nowUs - MS) / MS);
  }
  assert.deepEqual(waits.slice(0, 9), [0, 0, 100, 200, 400, 800, 1600, 3200, 5000]);
  assert.ok(
    waits.slice(9).every((wait) => wait === 5000),
    `${waits}`,
  );
});

test("found again and again it counts from the first time, lost between from the last", () => {
  const steadiness = new Steadiness();
  for (let loss = 0; loss < 3; loss += 1) {
    steadiness.lost(0);
    steadiness.lost(0);
    steadiness.found(0);
  }
  assert.equal(steadiness.found(0), 100 * MS);
  assert.equal(steadiness.found(50 * MS), 100 * MS);
  steadiness.lost(60 * MS);
  assert.equal(steadiness.found(70 * MS), 270 * MS);
});

test("a carrier that flaps ten times a second does not count as back before it stops", () => {
  const steadiness = new Steadiness();
  let returns = 0;
  for (let nowUs = 0; nowUs < 10 * SECOND; nowUs += 100 * MS) {
    steadiness.lost(nowUs);
    if (steadiness.found(nowUs + 50 * MS) < nowUs + 100 * MS) returns += 1;
  }
  assert.equal(returns, 2);
});

test("what was steady for a minute and a half is forgiven", () => {
  const steadiness = new Steadiness();
  for (let loss = 0; loss < 20; loss += 1) {
    steadiness.lost(0);
    steadiness.found(0);
  }
  steadiness.lost(90 * SECOND);
  assert.equal(steadiness.found(91 * SECOND), 91 * SECOND);
});
