/** A transport that fails while it carries is left: in the direction that fails, in time, for the cause that is true. */
import assert from "node:assert/strict";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import { SIDES } from "./portal.ts";
import {
  expects,
  last,
  SWITCH_MAX_US,
  settled,
  situation,
  switchedOnce,
  told,
} from "./situation.ts";

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

situation("an ICMP error that tells the truth hastens the switch of an idle link", (world) => {
  world.run(60 * SECOND);
  const sinceUs = world.nowUs;
  world.both("raw", { blocked: true });
  for (const side of SIDES) world.portal(side).ladder.hint(world.nowUs, "raw");
  world.run(2 * SECOND);
  expects(world, "udp", "udp");
  for (const side of SIDES) switchedOnce(world, world.portal(side), sinceUs, "udp: silent");
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

situation(
  "the status tells what carries, how often and why that changed, and when what failed is tried again",
  (world) => {
    const sinceUs = settled(world);
    world.both("raw", { blocked: true });
    world.run(35 * SECOND);
    const { nowUs } = world;
    for (const side of SIDES) {
      const { ladder, switches } = world.portal(side);
      const { transports, ...status } = ladder.status(nowUs);
      const changes = switches.filter(({ from }) => from !== null);
      assert.deepEqual(status, {
        ...{ current: "udp", peer: "udp", sinceUs: last(world.portal(side)).atUs },
        ...{ switches: changes.length, lastCause: "silent" },
      });
      const [raw, udp] = transports;
      assert.deepEqual([raw?.transport, raw?.works], ["raw", "no"], world.say(side));
      assert.deepEqual([udp?.transport, udp?.works, udp?.retryUs], ["udp", "yes", null]);
      // The Remote Portal waits to hear the client by raw.
      if (side === "local") assert.ok((raw?.retryUs ?? 0) > nowUs, world.say(side));
      const heardUs = [raw, udp].map((one) => one?.lastHeardUs ?? Number.NaN);
      assert.ok((heardUs[0] ?? 0) < sinceUs && (heardUs[1] ?? 0) > sinceUs, world.say(side));
    }
  },
);
