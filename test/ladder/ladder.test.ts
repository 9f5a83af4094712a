/** What a ladder does about each thing that a path may do: both directions, in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport } from "../../src/core/transport.ts";
import { type Portal, SIDES, type TimedSwitch } from "./portal.ts";
import { World } from "./world.ts";

const SEEDS = [1, 2, 3];
/** Of what a switch may cost an inner flow. */
const SWITCH_MAX_US = SECOND;

/** `to cause` of each switch since `sinceUs`. */
const told = (portal: Portal, sinceUs = -1) =>
  portal.switches.filter(({ atUs }) => atUs > sinceUs).map(({ to, cause }) => `${to}: ${cause}`);

function last(portal: Portal): TimedSwitch {
  const found = portal.switches.at(-1);
  assert.ok(found !== undefined);
  return found;
}

/** Both carry by these, and nothing else. */
function expects(world: World, local: Transport, remote: Transport): void {
  const now = SIDES.map((side) => world.portal(side).ladder.current);
  assert.deepEqual(now, [local, remote], world.say("transports local, remote"));
}

function clearGaps(world: World): void {
  for (const side of SIDES) world.portal(side).gapUs = 0;
}

/** The test runs with every seed. */
function situation(name: string, run: (world: World) => void): void {
  test(name, () => {
    for (const seed of SEEDS) run(new World(seed));
  });
}

/** A busy link by raw, half a minute old. */
function settled(world: World): number {
  world.busy();
  world.run(30 * SECOND);
  expects(world, "raw", "raw");
  clearGaps(world);
  return world.nowUs;
}

/** Of `portal`, since `sinceUs`: one switch, in time, for this cause. */
function switchedOnce(world: World, portal: Portal, sinceUs: number, told_: string): void {
  assert.deepEqual(told(portal, sinceUs), [told_], world.say(portal.side));
  const tookUs = last(portal).atUs - sinceUs;
  assert.ok(tookUs <= SWITCH_MAX_US, world.say(`${portal.side} took ${tookUs / MS} ms`));
  assert.ok(
    portal.gapUs <= SWITCH_MAX_US,
    world.say(`${portal.side} paused ${portal.gapUs / MS} ms`),
  );
}

situation(
  "a path that carries everything is used by raw, and nothing moves, busy or idle",
  (world) => {
    world.busy(50);
    world.run(3600 * SECOND);
    expects(world, "raw", "raw");
    for (const side of SIDES) assert.deepEqual(told(world.portal(side)), ["raw: attached"]);
  },
);

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

situation("raw that dies in mid-flow: both directions on UDP within a second", (world) => {
  const sinceUs = settled(world);
  world.both("raw", { blocked: true });
  world.run(120 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) switchedOnce(world, world.portal(side), sinceUs, "udp: silent");
});

situation(
  "raw that dies upwards: that direction at once, the other when it is not heard",
  (world) => {
    const sinceUs = settled(world);
    world.way("local", "raw").blocked = true;
    world.run(120 * SECOND);
    expects(world, "udp", "udp");
    switchedOnce(world, world.local, sinceUs, "udp: silent");
    assert.deepEqual(told(world.remote, sinceUs), ["udp: not heard"]);
    assert.ok(
      world.remote.gapUs <= SWITCH_MAX_US,
      world.say(`paused ${world.remote.gapUs / MS} ms`),
    );
  },
);

situation("raw that dies downwards: that direction at once, the other stays", (world) => {
  const sinceUs = settled(world);
  world.way("remote", "raw").blocked = true;
  world.run(120 * SECOND);
  expects(world, "raw", "udp");
  switchedOnce(world, world.remote, sinceUs, "udp: silent");
  assert.deepEqual(told(world.local, sinceUs), []);
  assert.ok(world.local.gapUs <= SWITCH_MAX_US, world.say(`paused ${world.local.gapUs / MS} ms`));
});

situation("raw that dies on an idle link is noticed by its canaries", (world) => {
  world.run(60 * SECOND);
  const sinceUs = world.nowUs;
  world.both("raw", { blocked: true });
  world.run(60 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) assert.equal(told(world.portal(side), sinceUs).length, 1, side);
});

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

for (const side of SIDES) {
  situation(`raw policed to 1 Mbit/s while UDP is not, sent by ${side}`, (world) => {
    const sinceUs = settled(world);
    world.portal(side).packetsPerSecond = 900;
    world.way(side, "raw").policedRate = 0.125;
    world.run(120 * SECOND);
    expects(world, side === "local" ? "udp" : "raw", side === "local" ? "raw" : "udp");
    const portal = world.portal(side);
    assert.equal(told(portal, sinceUs).length, 1, world.say("one switch"));
    assert.match(last(portal).cause, /policed|silent|large packets lost/);
    assert.ok(
      last(portal).atUs - sinceUs < 3 * SECOND,
      world.say(`${last(portal).atUs - sinceUs}`),
    );
  });
}

situation("a policed path is called so", (world) => {
  const sinceUs = settled(world);
  world.local.packetsPerSecond = 200;
  world.way("local", "raw").policedRate = 0.125;
  world.run(30 * SECOND);
  assert.deepEqual(told(world.local, sinceUs), ["udp: policed"], world.say("local"));
  assert.ok(last(world.local).atUs - sinceUs < 3 * SECOND, world.say("in time"));
});

situation("mangled raw is left, and called so", (world) => {
  const sinceUs = settled(world);
  world.both("raw", { mangles: true });
  world.run(120 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) switchedOnce(world, world.portal(side), sinceUs, "udp: mangled");
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

for (const smallEvery of [0, 4]) {
  situation(`large raw messages die in mid-flow, every ${smallEvery}th is small`, (world) => {
    for (const side of SIDES) world.portal(side).smallEvery = smallEvery;
    const sinceUs = settled(world);
    world.both("raw", { octetsMax: 1200 });
    world.run(120 * SECOND);
    expects(world, "udp", "udp");
    for (const side of SIDES) {
      switchedOnce(world, world.portal(side), sinceUs, "udp: large packets lost");
    }
  });
}

situation("UDP blocked: raw carries, and TCP is not connected", (world) => {
  world.both("udp", { blocked: true });
  world.busy();
  world.run(300 * SECOND);
  expects(world, "raw", "raw");
  for (const side of SIDES) assert.deepEqual(told(world.portal(side)), ["raw: attached"]);
  assert.equal(world.local.ladder.wantsTcp, false);
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

situation("all but TCP blocked in mid-flow: TCP within a second", (world) => {
  const sinceUs = settled(world);
  for (const transport of ["raw", "udp"] as const) world.both(transport, { blocked: true });
  world.run(60 * SECOND);
  expects(world, "tcp", "tcp");
  for (const side of SIDES) switchedOnce(world, world.portal(side), sinceUs, "tcp: silent");
});

situation("all but TCP blocked downwards in mid-flow: TCP downwards", (world) => {
  const sinceUs = settled(world);
  for (const transport of ["raw", "udp"] as const) world.way("remote", transport).blocked = true;
  world.run(60 * SECOND);
  expects(world, "raw", "tcp");
  assert.deepEqual(told(world.remote, sinceUs), ["tcp: silent"]);
  assert.equal(world.local.ladder.wantsTcp, true, "Remote uses it");
});

situation(
  "a NAT that forgets raw while downstream is busy: Remote stops within a second",
  (world) => {
    const sinceUs = settled(world);
    world.local.packetsPerSecond = 0;
    world.remote.packetsPerSecond = 900;
    world.nat?.flush();
    // What is on its way down comes first, and the router takes the mapping.
    world.nat?.passes(world.nowUs, "remote");
    world.run(2 * SECOND);
    assert.deepEqual(told(world.remote, sinceUs), ["udp: silent"], world.say(""));
    assert.ok(world.rawDownUs - sinceUs < SECOND, world.say(`${world.rawDownUs - sinceUs}`));
    world.run(598 * SECOND);
    assert.ok(world.rawDownUs - sinceUs < SECOND, "not a word by raw until the client is heard");
    world.run(120 * SECOND);
    expects(world, "raw", "raw");
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

situation("an ICMP error that tells the truth hastens the switch of an idle link", (world) => {
  world.run(60 * SECOND);
  const sinceUs = world.nowUs;
  world.both("raw", { blocked: true });
  for (const side of SIDES) world.portal(side).ladder.hint(world.nowUs, "raw");
  world.run(2 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) switchedOnce(world, world.portal(side), sinceUs, "udp: silent");
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

situation("raw that loses five percent where UDP loses none is left in the end", (world) => {
  settled(world);
  const sinceUs = world.nowUs;
  world.both("raw", { loss: 0.05 });
  world.run(400 * SECOND);
  for (const side of SIDES) {
    assert.equal(told(world.portal(side), sinceUs)[0], "udp: loss", world.say(side));
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

situation(
  "at a round trip of 600 ms raw is climbed to, and left within a round trip of the silence",
  (world) => {
    world.silenceUs = 1800 * MS;
    for (const transport of TRANSPORTS) world.both(transport, { delayUs: 300 * MS });
    world.both("raw", { delayUs: 300 * MS, blocked: true });
    world.run(SECOND / 10);
    world.both("raw", { blocked: false });
    // The first trial may have begun while raw was blocked.
    world.busy(50);
    world.run(120 * SECOND);
    expects(world, "raw", "raw");
    const sinceUs = world.nowUs;
    world.both("raw", { blocked: true });
    world.run(20 * SECOND);
    expects(world, "udp", "udp");
    for (const side of SIDES) {
      assert.deepEqual(told(world.portal(side), sinceUs), ["udp: silent"]);
      const tookUs = last(world.portal(side)).atUs - sinceUs;
      // The last acknowledgement comes a round trip after the cut.
      assert.ok(
        tookUs < (600 + 1800 + 600 + 400) * MS,
        world.say(`${side} took ${tookUs / MS} ms`),
      );
    }
  },
);
