/**
 * The home of a link, the transport by which the Remote Portal talks to it: it moves to one that passes both ways when
 * the link is attached again, and nothing else moves it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import { ROAM_GRACE_US } from "../../src/session/limits.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { hex } from "./addon-model.ts";
import { Neighbours } from "./neighbours.ts";
import { typeOf } from "./network.ts";
import { byTransport, pathOf } from "./paths.ts";
import {
  carriedBy,
  connected,
  countOf,
  dead,
  homeOf,
  transportAt,
  worldOf,
} from "./several-transports.ts";
import { CLIENT_ID, KEY, World } from "./world.ts";

test("a client is told that its home lives even when only other transports' ATTACHes arrive", () => {
  const world = connected();
  const inject = world.inject.bind(world);
  world.inject = (octets, path) => {
    if (typeOf(octets) !== TYPE.attach || transportAt(path) !== "raw") inject(octets, path);
  };
  world.doClient((client) => client.reattach(world.nowUs, 0));
  world.run(SECOND);
  assert.equal(homeOf(world), "raw");
  const before = countOf(world, TYPE.attach, true);
  world.run(20 * SECOND);
  assert.equal(countOf(world, TYPE.attach, true), before);
  assert.ok(world.portal.counters.homeKept > 0);
});

const homes: [name: string, blocked: string[]][] = [
  ["died in both directions", dead("raw")],
  ["does not pass upwards any more", ["up 0 raw"]],
  ["does not pass downwards any more", ["down 0 raw"]],
];

for (const [name, blocked] of homes) {
  test(`a link whose home transport ${name} moves to one that answers when it is attached again`, () => {
    const world = connected();
    assert.equal(homeOf(world), "raw");
    for (const way of blocked) world.blocked.add(way);
    world.doClient((client) => client.reattach(world.nowUs, 0));
    world.run(40 * MS + ROAM_GRACE_US);
    assert.equal(homeOf(world), "udp");
    assert.ok(world.sendUp(0, TYPE.data, undefined, "udp") && world.sendDown(0));
    world.run(SECOND);
    assert.deepEqual(world.delivered.sort(), ["down 0", "up 0"]);
    const before = countOf(world, TYPE.attach, true);
    world.run(60 * SECOND);
    assert.equal(countOf(world, TYPE.attach, true), before, "and is confirmed");
    assert.equal(world.portal.counters.roamOk, 1);
    assert.equal(world.portal.counters.roamConflict, 0);
  });
}

test("one that passes upwards only does not keep another from becoming the home", () => {
  const world = connected();
  for (const way of [...dead("raw"), "down 0 udp"]) world.blocked.add(way);
  world.doClient((client) => client.reattach(world.nowUs, 0));
  world.run(40 * MS + ROAM_GRACE_US);
  assert.equal(homeOf(world), "tcp");
});

test("a link that is attached again while its home lives stays there", () => {
  const world = connected();
  for (let round = 0; round < 5; round += 1) {
    world.doClient((client) => client.reattach(world.nowUs, 0));
    world.run(5 * SECOND);
    assert.equal(homeOf(world), "raw");
  }
  assert.equal(countOf(world, TYPE.attach, true), 6 * TRANSPORTS.length, "each confirmed at once");
  assert.equal(world.portal.counters.roamOk, 0);
  assert.equal(world.portal.counters.roamConflict, 0, "nobody is suspected");
});

test("packets by another transport than the home's move nothing", () => {
  const world = connected();
  const before = world.wire.length;
  for (let count = 0; count < 50; count += 1) {
    world.sendUp(0, TYPE.data, undefined, "udp");
    world.sendUp(0, TYPE.feedback, undefined, "tcp");
    world.run(100 * MS);
  }
  assert.equal(homeOf(world), "raw");
  assert.equal(world.wire.length, before + 100);
});

test("a new address is checked on the home transport as on a link that has no other", () => {
  const world = connected();
  world.paths[0] = pathOf(77);
  world.sendUp(0, TYPE.data, new Uint8Array(500));
  world.run(SECOND);
  assert.equal(homeOf(world), "raw");
  const { path } = world.portalHost.attached.get("0 0") ?? assert.fail();
  assert.equal(hex(path ?? assert.fail()), hex(byTransport(pathOf(77), "raw")));
});

test("somebody who repeats a link's ATTACH faster by another transport takes nothing over", () => {
  const world = connected();
  const evil = pathOf(66, 6666);
  world.tap = (up, octets, path) => {
    if (up && transportAt(path) === "udp") world.inject(octets, evil);
    if (!up && hex(path) === hex(evil)) world.injectDown(octets, 0, "udp");
  };
  for (let round = 0; round < 20; round += 1) {
    world.doClient((client) => client.reattach(world.nowUs, 0));
    world.run(3 * SECOND);
    world.sendDown(0);
  }
  assert.ok((world.octets.get(hex(evil))?.up ?? 0) > 0);
  assert.equal(homeOf(world), "raw");
  assert.ok(world.dataGoesTo.every((path) => transportAt(path) === "raw"));
});

test("an ATTACH by any transport is sent no more than three times its octets before it is answered", () => {
  const world = connected();
  world.tap = (up, octets) => {
    if (up && typeOf(octets) === TYPE.response) world.loss = 1;
  };
  for (let round = 0; round < 30; round += 1) {
    world.loss = 0;
    world.paths[0] = pathOf(100 + round);
    world.doClient((client) => client.reattach(world.nowUs, 0));
    world.run(4 * SECOND);
    for (const transport of TRANSPORTS) {
      const path = byTransport(pathOf(100 + round), transport);
      const { up, down } = world.octets.get(hex(path)) ?? assert.fail();
      assert.ok(down <= 3 * up, `${down} octets for ${up} by ${transport}`);
    }
  }
  assert.equal(world.portal.counters.roamOk, 0);
});

test("of two clients behind one address whose raw packets return to the first, both get in", () => {
  const second = Uint8Array.from([...CLIENT_ID.subarray(0, 7), 99]);
  const clients = [CLIENT_ID, second].map((clientId) => ({ clientId, key: KEY, addresses: [] }));
  const portal = connected([], { responder: { clients } });
  const other = worldOf([], { seed: 2, initiator: { clientId: second } });
  // The translator gives the second client a port of its own, where there are ports.
  const neighbours = new Neighbours(portal, other, () => pathOf(1, 41000));
  other.connect();
  neighbours.run(100 * MS);
  assert.equal(carriedBy(other), "udp");
  const { path } = portal.portalHost.attached.get("1 0") ?? assert.fail("not attached");
  assert.equal(hex(path ?? assert.fail()), hex(pathOf(1, 41000)));
  assert.equal(portal.clientHost.established, 1);
  assert.equal(homeOf(portal), "raw");
  assert.ok(portal.sendUp(0) && portal.sendDown(0));
  portal.run(SECOND);
  assert.deepEqual(portal.delivered.sort(), ["down 0", "up 0"]);
});

const everyWay = ["up", "down"].flatMap((direction) =>
  [0, 1].flatMap((link) => TRANSPORTS.map((transport) => `${direction} ${link} ${transport}`)),
);

/** Everything is blocked that is named in `ways`, nothing else. */
function block(world: World, ways: readonly string[]): void {
  world.blocked.clear();
  for (const way of ways) world.blocked.add(way);
}

function assertWorks(world: World, link: number): void {
  const home = homeOf(world, link) ?? assert.fail(`link ${link} has no home`);
  for (const direction of ["up", "down"]) {
    assert.ok(!world.blocked.has(`${direction} ${link} ${home}`), `its home ${home} is dead`);
  }
  world.delivered.length = 0;
  world.wire.length = 0;
  assert.ok(world.sendUp(link, TYPE.data, undefined, home) && world.sendDown(link));
  world.run(4 * SECOND);
  assert.deepEqual(world.delivered.sort(), [`down ${link}`, `up ${link}`]);
  const own = TRANSPORTS.map((each) => hex(byTransport(world.paths[link] ?? assert.fail(), each)));
  const again = world.wire.filter(
    ({ octets, path }) => typeOf(octets) === TYPE.attach && own.includes(hex(path)),
  );
  assert.equal(again.length, 0, "and the client knows");
}

test("however ways were blocked before, one transport that passes both ways is found", () => {
  const step = fc.record({ ways: fc.subarray(everyWay), forMs: fc.integer({ min: 1, max: 6000 }) });
  const schedule = fc.record({
    seed: fc.nat(),
    loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
    jitterUs: fc.integer({ min: 0, max: 100 * MS }),
    steps: fc.array(step, { maxLength: 12 }),
    ways: fc.subarray(everyWay),
    link: fc.integer({ min: 0, max: 1 }),
    transport: fc.constantFrom(...TRANSPORTS),
  });
  const converges = fc.property(schedule, ({ steps, ways, link, transport, ...options }) => {
    const world = new World({ ...options, links: 2, transports: TRANSPORTS });
    world.connect();
    for (const { ways: blocked, forMs } of steps) {
      block(world, blocked);
      world.run(forMs * MS);
      // As a portal does for links that fell silent.
      for (const number of [0, 1]) world.doClient((c) => c.reattach(world.nowUs, number));
    }
    world.loss = 0;
    const alive = [`up ${link} ${transport}`, `down ${link} ${transport}`];
    block(
      world,
      ways.filter((way) => !alive.includes(way)),
    );
    world.doClient((client) => client.reattach(world.nowUs, link));
    world.doClient((client) => client.renew(world.nowUs));
    world.run(30 * SECOND);
    assertWorks(world, link);
  });
  fc.assert(converges, { numRuns: 200 });
});
