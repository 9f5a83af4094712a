/**
 * What the tests of a ladder on a path share: a situation is a world that runs with every seed, and
 * here is how it begins, what is read off it, and what a switch may cost.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import type { Transport } from "../../src/core/transport.ts";
import { type Portal, SIDES, type TimedSwitch } from "./portal.ts";
import { World } from "./world.ts";

const SEEDS = [1, 2, 3];
/** Of what a switch may cost an inner flow. */
export const SWITCH_MAX_US = SECOND;

/** `to cause` of each switch since `sinceUs`. */
export const told = (portal: Portal, sinceUs = -1) =>
  portal.switches.filter(({ atUs }) => atUs > sinceUs).map(({ to, cause }) => `${to}: ${cause}`);

export function last(portal: Portal): TimedSwitch {
  const found = portal.switches.at(-1);
  assert.ok(found !== undefined);
  return found;
}

/** Both carry by these, and nothing else. */
export function expects(world: World, local: Transport, remote: Transport): void {
  const now = SIDES.map((side) => world.portal(side).ladder.current);
  assert.deepEqual(now, [local, remote], world.say("transports local, remote"));
}

export function clearGaps(world: World): void {
  for (const side of SIDES) world.portal(side).gapUs = 0;
}

/** The test runs with every seed. */
export function situation(name: string, run: (world: World) => void): void {
  test(name, () => {
    for (const seed of SEEDS) run(new World(seed));
  });
}

/** A busy link by raw, half a minute old. */
export function settled(world: World): number {
  world.busy();
  world.run(30 * SECOND);
  expects(world, "raw", "raw");
  clearGaps(world);
  return world.nowUs;
}

/** Of `portal`, since `sinceUs`: one switch, in time, for this cause. */
export function switchedOnce(world: World, portal: Portal, sinceUs: number, told_: string): void {
  assert.deepEqual(told(portal, sinceUs), [told_], world.say(portal.side));
  const tookUs = last(portal).atUs - sinceUs;
  assert.ok(tookUs <= SWITCH_MAX_US, world.say(`${portal.side} took ${tookUs / MS} ms`));
  assert.ok(
    portal.gapUs <= SWITCH_MAX_US,
    world.say(`${portal.side} paused ${portal.gapUs / MS} ms`),
  );
}
