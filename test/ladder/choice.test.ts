/** Which transport carries in each direction, on a path that lets some of them pass, or small messages only. */
import assert from "node:assert/strict";
import { SECOND } from "../../src/core/time.ts";
import { SIDES } from "./portal.ts";
import { expects, last, situation, told } from "./situation.ts";

situation("raw that never passes: UDP carries at once and stays", (world) => {
  world.both("raw", { blocked: true });
  world.busy(50);
  world.run(600 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) {
    assert.deepEqual(told(world.portal(side)), ["udp: attached"], world.say(side));
    assert.ok(last(world.portal(side)).atUs < SECOND / 2);
  }
});

situation("UDP that answers first is left for raw within a second", (world) => {
  world.both("raw", { blocked: true });
  world.run(SECOND / 10);
  world.both("raw", { blocked: false });
  world.busy();
  world.run(3 * SECOND);
  expects(world, "raw", "raw");
  for (const side of SIDES) {
    assert.deepEqual(told(world.portal(side)), ["udp: attached", "raw: trial passed"], side);
    assert.ok(last(world.portal(side)).atUs < SECOND, world.say(side));
  }
});

situation("raw that passes upwards only is used upwards only", (world) => {
  world.way("remote", "raw").blocked = true;
  world.busy(50);
  world.run(600 * SECOND);
  expects(world, "raw", "udp");
  assert.deepEqual(told(world.local), ["udp: attached", "raw: trial passed"]);
  assert.deepEqual(told(world.remote), ["udp: attached"]);
});

situation("raw that passes downwards only is not used: Remote never hears it", (world) => {
  world.way("local", "raw").blocked = true;
  world.busy(50);
  world.run(600 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) assert.deepEqual(told(world.portal(side)), ["udp: attached"]);
  assert.equal(world.remote.hellos[0], 0);
});

situation("a path that carries small raw messages only is not climbed to", (world) => {
  world.both("raw", { blocked: true });
  world.run(SECOND / 10);
  world.both("raw", { blocked: false, octetsMax: 600 });
  world.busy();
  world.run(120 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) assert.deepEqual(told(world.portal(side)), ["udp: attached"]);
});

situation(
  "attached by raw, which carries small messages only: found out before any DATA",
  (world) => {
    world.both("raw", { octetsMax: 600 });
    world.run(3 * SECOND);
    expects(world, "udp", "udp");
    for (const side of SIDES) {
      assert.deepEqual(
        told(world.portal(side)),
        ["raw: attached", "udp: large packets lost"],
        side,
      );
    }
  },
);

situation("UDP blocked: raw carries, and TCP is not connected", (world) => {
  world.both("udp", { blocked: true });
  world.busy();
  world.run(300 * SECOND);
  expects(world, "raw", "raw");
  for (const side of SIDES) assert.deepEqual(told(world.portal(side)), ["raw: attached"]);
  assert.equal(world.local.ladder.wantsTcp, false);
});
