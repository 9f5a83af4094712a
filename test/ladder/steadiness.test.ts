/** What does not move a ladder: a good path, loss that all share, outages, forged errors; and flapping is damped. */
import assert from "node:assert/strict";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import { SIDES } from "./portal.ts";
import { clearGaps, expects, settled, situation, told } from "./situation.ts";

situation(
  "a path that carries everything is used by raw, and nothing moves, busy or idle",
  (world) => {
    world.busy(50);
    world.run(3600 * SECOND);
    expects(world, "raw", "raw");
    for (const side of SIDES) assert.deepEqual(told(world.portal(side)), ["raw: attached"]);
  },
);

situation("raw that comes and goes is damped", (world) => {
  settled(world);
  const sinceUs = world.nowUs;
  for (let round = 0; round < 60; round += 1) {
    world.both("raw", { blocked: round % 2 === 0 });
    world.run(round % 2 === 0 ? 20 * SECOND : 40 * SECOND);
  }
  // Half an hour of a raw that is there for 40 s and gone for 20.
  for (const side of SIDES) {
    const count = told(world.portal(side), sinceUs).length;
    assert.ok(count >= 3 && count <= 6, world.say(`${side} switched ${count} times`));
  }
});

situation("forged ICMP errors change nothing, and cost little", (world) => {
  settled(world);
  const sinceUs = world.nowUs;
  const before = SIDES.map((side) => world.portal(side).helloOctets);
  for (let at = 0; at < 6000; at += 1) {
    for (const side of SIDES) world.portal(side).ladder.hint(world.nowUs, "raw");
    world.run(10 * MS);
  }
  SIDES.forEach((side, index) => {
    assert.deepEqual(told(world.portal(side), sinceUs), []);
    const rate = (world.portal(side).helloOctets - (before[index] ?? 0)) / 60;
    assert.ok(rate < 6000, world.say(`${rate} octets a second`));
  });
});

situation("five percent lost by all transports alike moves nothing", (world) => {
  for (const transport of ["raw", "udp"] as const) world.both(transport, { loss: 0.05 });
  world.busy(200);
  world.run(600 * SECOND);
  expects(world, "raw", "raw");
  for (const side of SIDES) {
    const moved = told(world.portal(side)).filter((text) => !/attached|trial passed/.test(text));
    assert.deepEqual(moved, [], world.say(side));
  }
});

situation("a total outage moves nothing, and what comes back is used", (world) => {
  const sinceUs = settled(world);
  for (const transport of TRANSPORTS) world.both(transport, { blocked: true });
  world.run(20 * SECOND);
  for (const transport of TRANSPORTS) world.both(transport, { blocked: false });
  world.run(10 * SECOND);
  for (const side of SIDES)
    assert.deepEqual(told(world.portal(side), sinceUs), [], world.say(side));
  clearGaps(world);
  world.run(10 * SECOND);
  for (const side of SIDES) assert.ok(world.portal(side).gapUs < 100 * MS, world.say("DATA flows"));
});

situation("raw that is 60 ms slower than UDP is not taken for dead", (world) => {
  world.both("raw", { delayUs: 55 * MS });
  for (const transport of ["raw", "udp"] as const) world.both(transport, { loss: 0.02 });
  world.busy(100);
  for (let round = 0; round < 60; round += 1) {
    world.run(6 * SECOND);
    for (const side of SIDES) world.portal(side).ladder.hint(world.nowUs, "raw");
  }
  expects(world, "raw", "raw");
  for (const side of SIDES) assert.deepEqual(told(world.portal(side)), ["raw: attached"]);
});
