/** A transport that works again is used again: after the back-off, on a hint at once, after whatever outage. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import { SIDES } from "./portal.ts";
import { clearGaps, expects, last, settled, situation, told } from "./situation.ts";
import { World } from "./world.ts";

situation("raw that returns is used again after the back-off", (world) => {
  settled(world);
  world.both("raw", { blocked: true });
  world.run(5 * SECOND);
  const sinceUs = world.nowUs;
  world.both("raw", { blocked: false });
  clearGaps(world);
  world.run(60 * SECOND);
  expects(world, "raw", "raw");
  for (const side of SIDES) {
    assert.deepEqual(told(world.portal(side), sinceUs), ["raw: trial passed"]);
    assert.ok(world.portal(side).gapUs < 100 * MS, world.say("DATA went on meanwhile"));
  }
});

situation("raw that returns after long is noticed by its canaries, not after an hour", (world) => {
  settled(world);
  world.both("raw", { blocked: true });
  world.run(5 * SECOND);
  world.idle();
  world.run(7200 * SECOND);
  const sinceUs = world.nowUs;
  world.both("raw", { blocked: false });
  world.run(60 * SECOND);
  expects(world, "raw", "raw");
  for (const side of SIDES) assert.ok(last(world.portal(side)).atUs - sinceUs < 35 * SECOND);
});

situation("a changed path is tried at once", (world) => {
  settled(world);
  world.both("raw", { blocked: true });
  world.run(300 * SECOND);
  const sinceUs = world.nowUs;
  world.both("raw", { blocked: false });
  world.local.ladder.pathChanged(world.nowUs);
  world.run(2 * SECOND);
  expects(world, "raw", "raw");
  assert.ok(last(world.local).atUs - sinceUs < SECOND);
  assert.ok(last(world.remote).atUs - sinceUs < 2 * SECOND, "the peer is told at once");
});

situation(
  "all but TCP blocked: TCP carries within two seconds, and the others are tried again",
  (world) => {
    for (const transport of ["raw", "udp"] as const) world.both(transport, { blocked: true });
    world.busy();
    world.run(300 * SECOND);
    expects(world, "tcp", "tcp");
    for (const side of SIDES) {
      assert.deepEqual(told(world.portal(side)), ["tcp: attached"]);
      assert.ok(last(world.portal(side)).atUs < 2 * SECOND);
    }
    const sinceUs = world.nowUs;
    world.both("udp", { blocked: false });
    world.run(120 * SECOND);
    expects(world, "udp", "udp");
    for (const side of SIDES)
      assert.deepEqual(told(world.portal(side), sinceUs), ["udp: trial passed"]);
    assert.equal(world.local.ladder.wantsTcp, false);
  },
);

situation("a long outage: Remote may not keep to raw, and climbs to it again", (world) => {
  const sinceUs = settled(world);
  for (const transport of TRANSPORTS) world.both(transport, { blocked: true });
  world.run(120 * SECOND);
  for (const transport of TRANSPORTS) world.both(transport, { blocked: false });
  world.run(20 * SECOND);
  expects(world, "raw", "raw");
  assert.deepEqual(told(world.local, sinceUs), []);
  assert.deepEqual(told(world.remote, sinceUs), ["udp: not heard", "raw: trial passed"]);
});

situation("an outage of which UDP alone comes back", (world) => {
  settled(world);
  for (const transport of TRANSPORTS) world.both(transport, { blocked: true });
  world.run(60 * SECOND);
  const sinceUs = world.nowUs;
  world.both("udp", { blocked: false });
  world.run(10 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) assert.ok(last(world.portal(side)).atUs - sinceUs < 8 * SECOND);
});

test("after an outage of half a minute or more raw alone carries again within half a second", () => {
  for (const awayS of [5, 25, 29, 30, 31, 35, 62, 130]) {
    const world = new World(awayS, { nat: false, allowed: ["raw"] });
    world.answeredElsewhere = true;
    settled(world);
    world.both("raw", { blocked: true });
    world.run(awayS * SECOND);
    world.both("raw", { blocked: false });
    world.run(SECOND / 2);
    expects(world, "raw", "raw");
    assert.ok(!world.local.silent && !world.remote.silent, world.say("both are answered"));
  }
});
