/** A few cells of the matrix, quick ones, and that a seed is all that a run depends on. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SECOND } from "../../src/core/time.ts";
import { Stage } from "./cell.ts";
import { CELLS, cellNamed } from "./cells/all.ts";
import { controllerNamed, NAMES } from "./controllers.ts";
import { meets } from "./matrix.ts";
import { plot } from "./plot.ts";
import { World } from "./world.ts";

const SEED = 1;

test("names of cells are unique", () => {
  assert.equal(new Set(CELLS.map(({ name }) => name)).size, CELLS.length);
});

/** What a link of 50 Mbit/s carries under a controller, Mbit/s of inner octets. */
function carried(name: string): number {
  const controller = controllerNamed(name);
  assert.ok(controller !== undefined, name);
  const world = new World({
    seed: SEED,
    links: [{ up: { rateMbit: 50, delayMs: 5 } }],
    controller,
  });
  const { sink } = world.flood();
  world.run(2 * SECOND);
  world.mark();
  world.run(4 * SECOND);
  return sink.goodputMbit();
}

test("every controller plays in the simulator, fixed at the rate that it is given", () => {
  for (const name of NAMES) assert.ok(carried(name) > 30, `${name} ${carried(name)}, seed ${SEED}`);
  const fixed = carried("fixed:20mbit");
  assert.ok(fixed > 19 && fixed < 20, `${fixed}, seed ${SEED}`);
  for (const name of ["fixed", "fixed:fast", "bbr"]) assert.equal(controllerNamed(name), undefined);
});

test("the documents know how many situations and targets there are", () => {
  const wanted = CELLS.flatMap(({ checks }) =>
    checks.filter(({ atLeast, atMost }) => atLeast !== undefined || atMost !== undefined),
  );
  const documents = [
    ["README.md", [`${CELLS.length} situations`]],
    ["docs/congestion.md", [`${CELLS.length} situations`, `of ${wanted.length} targets`]],
  ] as const;
  for (const [file, phrases] of documents) {
    const text = readFileSync(file, "utf8");
    for (const phrase of phrases) assert.ok(text.includes(phrase), `${file}: ${phrase}`);
  }
});

/** Cells that are met with room to spare: a failure is a change for the worse, not of luck. */
const QUICK = [
  "single-1M-50ms",
  "single-100M-20ms",
  "single-1000M-2ms",
  "loss-1-100M-20ms",
  "bond-two-equal-1-cubic",
  "bond-delays-10-and-40-flood",
  "steps-50-10-50M-40ms",
  "failover-equal",
  "voice-two-links-beside-1-cubic",
];

for (const name of QUICK) {
  test(`${name} meets its targets`, () => {
    const cell = cellNamed(name);
    assert.ok(cell !== undefined);
    const values = cell.measure(new Stage({ seed: SEED }));
    for (const check of cell.checks) {
      const value = values[check.metric] ?? Number.NaN;
      const wanted = `${check.atLeast ?? ""}..${check.atMost ?? ""}`;
      assert.ok(meets(value, check), `${check.metric} ${value}, wanted ${wanted}, seed ${SEED}`);
    }
  });
}

/** All kinds of traffic over unlike links, one of them cut for a while. */
function busy(seed: number): World {
  const world = new World({
    seed,
    links: [
      { up: { rateMbit: 30, delayMs: 10, jitterMs: 5 } },
      { up: { rateMbit: 20, delayMs: 30, loss: { kind: "bursts", share: 0.01, burst: 4 } } },
    ],
  });
  world.tcp({ law: "cubic" });
  world.tcp({ law: "bbr", from: "b", ecn: true });
  world.tcp({ beside: 0, startUs: 1 * SECOND });
  world.stream();
  world.shortFlows({ perSecond: 10 });
  world.at(2 * SECOND, () => world.cut(0));
  world.at(3 * SECOND, () => world.restore(0));
  world.run(5 * SECOND);
  return world;
}

test("the same seed gives the same trace, another seed another", () => {
  const { hash } = busy(1);
  assert.equal(busy(1).hash, hash, "seed 1");
  assert.notEqual(busy(2).hash, hash, "seeds 1 and 2");
});

test("slots come home, and nothing comes twice, when all kinds of traffic end", () => {
  for (const seed of [1, 2, 3]) {
    const world = new World({
      seed,
      links: [
        { up: { rateMbit: 30, delayMs: 10, loss: { kind: "random", share: 0.02 } } },
        { up: { rateMbit: 20, delayMs: 40 } },
      ],
    });
    const flood = world.flood();
    const voice = world.stream({ from: "b" });
    let ends = 0;
    for (let count = 0; count < 5; count += 1)
      world.tcp({ bytes: 300_000, onDone: () => (ends += 1) });
    world.run(2 * SECOND);
    world.cut(0);
    world.run(3 * SECOND);
    world.restore(0);
    world.run(4 * SECOND);
    flood.source.stop();
    voice.source.stop();
    world.run(60 * SECOND);
    world.hush(62 * SECOND);
    assert.equal(ends, 5, `all short flows end, seed ${seed}`);
    assert.equal(flood.sink.duplicates + voice.sink.duplicates, 0, `seed ${seed}`);
    assert.equal(world.arena.freeCount, world.arena.slotCount, `slots, seed ${seed}`);
  }
});

test("a plot holds a lane for rate, window and queue, and a curve for each link", () => {
  const stage = new Stage({ seed: SEED, record: true });
  const world = stage.world({ links: [{ up: { rateMbit: 20, delayMs: 10 } }] });
  world.flood();
  world.run(2 * SECOND);
  const svg = plot(world, "a & b");
  assert.match(svg, /a &amp; b/);
  // Rate, window, flight, queue.
  assert.equal(svg.match(/<polyline/g)?.length, 4);
  assert.doesNotMatch(svg, /NaN/);
});
