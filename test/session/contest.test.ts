/** Two machines with one client's key: told from one that starts again, and from one that moves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { Contest, QUIET_US } from "../../src/session/contest.ts";
import { effectsOf } from "./host.ts";
import { pathOf } from "./paths.ts";
import { World } from "./world.ts";

/** The client's machine of this number, two links, with ports that no machine had before. */
let port = 40_000;
function startAt(world: World, machine: number): void {
  for (const link of [0, 1]) {
    port += 1;
    world.paths[link] = pathOf(10 * machine + link, port);
  }
  world.restartClient();
  world.run(SECOND);
  assert.ok(world.allAttached, `machine ${machine}`);
}

const hosts = (world: World) =>
  world.portal
    .contenders(world.nowUs, 0)
    ?.map((path) => Math.floor((path[11] ?? 0) / 10))
    .sort() ?? null;

test("two machines that end each other's sessions are told at each turn, with their addresses, until one is stopped", () => {
  const world = new World();
  for (const machine of [1, 2, 1]) startAt(world, machine);
  assert.equal(
    effectsOf(world.portalHost, "contested").length,
    0,
    "there and back is a machine that moves",
  );
  for (const machine of [2, 1, 2, 1]) startAt(world, machine);
  assert.equal(effectsOf(world.portalHost, "contested").length, 4);
  assert.deepEqual(hosts(world), [1, 2]);
  assert.equal(world.portal.counters.replaced, 6);
  world.run(QUIET_US);
  assert.equal(hosts(world), null);
  startAt(world, 2);
  assert.equal(effectsOf(world.portalHost, "contested").length, 4, "it begins anew");
  startAt(world, 1);
  assert.equal(effectsOf(world.portalHost, "contested").length, 5);
});

test("sessions that end before any link has answered neither hide two machines nor make two of one", () => {
  const [one, two] = [pathOf(10), pathOf(20)];
  const contest = new Contest();
  let told = 0;
  for (let turn = 0; turn < 12; turn += 1) {
    const [had, by] = turn % 2 === 0 ? [one, two] : [two, one];
    if (contest.replaced(2 * turn * SECOND, [had], by) !== null) told += 1;
    // It has just got new keys, or its answers take longer than it lived.
    if (contest.replaced((2 * turn + 1) * SECOND, [], by) !== null) told += 1;
  }
  assert.ok(told > 0);
  const alone = new Contest();
  for (let turn = 0; turn < 12; turn += 1) {
    assert.equal(alone.replaced(turn * SECOND, turn % 3 === 0 ? [] : [one], one), null);
  }
});

test("a machine that starts again and again, or moves on each time, has its key to itself", () => {
  for (const machines of [
    [1, 1, 1, 1, 1, 1],
    [1, 2, 3, 4, 5, 6],
    [1, 1, 2, 2, 1, 1],
  ]) {
    const world = new World();
    for (const machine of machines) startAt(world, machine);
    assert.equal(effectsOf(world.portalHost, "contested").length, 0, machines.join());
    assert.equal(hosts(world), null);
  }
});

test("a client that moves between two networks and starts anew each time, minutes apart, is one machine", () => {
  const world = new World();
  for (const machine of [1, 2, 1, 2, 1, 2]) {
    startAt(world, machine);
    world.run(QUIET_US + 500 * MS);
  }
  assert.equal(effectsOf(world.portalHost, "contested").length, 0);
});
