/** Links of a bond empty their queues from time to time, one after the other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { World } from "../sim/world.ts";

const SEED = 3;
const LINKS = 3;
const LOOK_MS = 5;
/** Each is drained every 8 s. */
const SECONDS = 20;

test("each link is drained, never two at once, and the others carry what it does not", () => {
  const links = Array.from({ length: LINKS }, () => ({ up: { rateMbit: 20, delayMs: 15 } }));
  const world = new World({ seed: SEED, links });
  const { sink } = world.flood();
  world.run(2 * SECOND);
  world.mark();
  const drained = new Set<number>();
  for (let atMs = 2_000; atMs < SECONDS * 1_000; atMs += LOOK_MS) {
    world.run(atMs * MS);
    const running = world.a.bond.links.filter(
      ({ sender }) => sender.controller.drain === "running",
    );
    assert.ok(running.length <= 1, `${running.length} at ${atMs} ms, seed ${SEED}`);
    for (const { number } of running) drained.add(number);
  }
  assert.equal(drained.size, LINKS, `seed ${SEED}`);
  const possible = LINKS * 20 * (1457 / 1500);
  const share = sink.goodputMbit() / possible;
  assert.ok(share > 0.97, `${share} of the rate, seed ${SEED}`);
});
