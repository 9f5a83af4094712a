/** How long a link that keeps failing is kept out, and how that is forgiven. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SECOND } from "../../src/core/time.ts";
import { Damping } from "../../src/link/damping.ts";

/** Seconds for which a link must answer after each of these lives (s). */
function holds(...lives: readonly number[]): number[] {
  const damping = new Damping();
  let nowUs = 0;
  return lives.map((life) => {
    const upSinceUs = nowUs;
    nowUs += life * SECOND;
    damping.down(nowUs, upSinceUs);
    return damping.holdUs / SECOND;
  });
}

test("the first return is free, whenever it comes", () => {
  assert.deepEqual(holds(1), [0]);
  assert.deepEqual(holds(3600), [0]);
});

test("short lives are answered by 1, 2, 4 ... 30 s", () => {
  assert.deepEqual(holds(1, 1, 1, 1, 1, 1, 1, 1), [0, 1, 2, 4, 8, 16, 30, 30]);
});

test("eight seconds are long enough", () => {
  assert.deepEqual(holds(7.9, 7.9, 8, 8), [0, 1, 0, 0]);
});

test("an interruption every 15 s is no flapping, and halves what flapping has left", () => {
  assert.deepEqual(holds(15, 15, 15, 15), [0, 0, 0, 0]);
  assert.deepEqual(holds(1, 1, 1, 1, 15, 15, 15), [0, 1, 2, 4, 2, 1, 0]);
});

test("a minute makes up for everything", () => {
  assert.deepEqual(holds(1, 1, 1, 1, 60, 1), [0, 1, 2, 4, 0, 1]);
});
