/** Situations in which a window once stayed far below its path, or a queue on it, for ever. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SECOND } from "../../../src/core/time.ts";
import type { PipeSpec } from "../../sim/pipe.ts";
import { World } from "../../sim/world.ts";

function goodputLater(seed: number, up: PipeSpec, delayMs: number): number {
  const world = new World({ seed, links: [{ up, down: { rateMbit: 20, delayMs } }] });
  const flow = world.flood();
  world.run(40 * SECOND);
  world.mark();
  world.run(60 * SECOND);
  return flow.sink.goodputMbit();
}

for (const seed of [1, 2]) {
  test(`a path that nearly stood still for 10 s and loses 1 % is used again, seed ${seed}`, () => {
    const rateMbit: [number, number][] = [
      [0, 20],
      [5_000, 0.2],
      [15_000, 20],
    ];
    const loss = { kind: "random", share: 0.01 } as const;
    const rate = goodputLater(seed, { rateMbit, delayMs: 20, queueMs: 300, loss }, 20);
    assert.ok(rate > 16, `${rate} of 20 Mbit/s`);
  });

  test(`5 % of random loss is learnt on a path of few packets a second, seed ${seed}`, () => {
    const loss = { kind: "random", share: 0.05 } as const;
    const rate = goodputLater(seed, { rateMbit: 5, delayMs: 150, queueMs: 300, loss }, 150);
    assert.ok(rate > 3.8, `${rate} of 5 Mbit/s`);
  });
}

for (const seed of [3, 4]) {
  test(`a queue left by a rate that fell to a fifth goes away under a TCP flow too, seed ${seed}`, () => {
    const falling: [number, number][] = [
      [0, 50],
      [4_000, 10],
    ];
    const steady = { rateMbit: 50, delayMs: 10, queueMs: 50 };
    const world = new World({
      seed,
      links: [{ up: { ...steady, rateMbit: falling }, down: steady }, { up: steady }],
    });
    world.tcp();
    world.run(6 * SECOND);
    world.mark();
    world.run(14 * SECOND);
    const queueMs = world.paths[0]?.up.queueDelay.quantileMs(0.95) ?? Number.NaN;
    assert.ok(queueMs < 25, `${queueMs} ms`);
  });
}

for (const seed of [5, 6]) {
  test(`windows that fill now and then are not taken for jitter, beside a slow far link, seed ${seed}`, () => {
    const world = new World({
      seed,
      links: [
        { up: { rateMbit: 50, delayMs: 10, queueMs: 100 }, down: { rateMbit: 50, delayMs: 10 } },
        { up: { rateMbit: 2, delayMs: 30, queueMs: 100 }, down: { rateMbit: 50, delayMs: 30 } },
      ],
    });
    world.tcp();
    world.run(6 * SECOND);
    world.mark();
    world.run(20 * SECOND);
    const queueMs = world.paths[0]?.up.queueDelay.quantileMs(0.95) ?? Number.NaN;
    assert.ok(queueMs < 15, `${queueMs} ms`);
  });
}
