/** Links with several transports, some of which do not pass, or pass in one direction only. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PATH_AT, type Path } from "../../src/core/path.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport, transportOf } from "../../src/core/transport.ts";
import { LATE_ATTACH_US, ROAM_GRACE_US } from "../../src/session/limits.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { hex } from "./addon-model.ts";
import { Neighbours } from "./neighbours.ts";
import { typeOf } from "./network.ts";
import { byTransport, pathOf } from "./paths.ts";
import { CLIENT_ID, KEY, World, type WorldOptions } from "./world.ts";

const transportAt = (path: Path) => transportOf(path[PATH_AT.transport] as number);
/** By which transport the portal talks to link 0, and by which the client does. */
const homeOf = (world: World, link = 0): Transport | undefined => {
  const path = world.portalHost.attached.get(`0 ${link}`)?.path;
  return path == null ? undefined : transportAt(path);
};
const carriedBy = (world: World, link = 0) => world.clientHost.attached.get(`0 ${link}`)?.transport;

function worldOf(blocked: readonly string[], options: WorldOptions = {}): World {
  const world = new World({ links: 1, transports: TRANSPORTS, ...options });
  for (const way of blocked) world.blocked.add(way);
  return world;
}

function connected(blocked: readonly string[] = [], options: WorldOptions = {}): World {
  const world = worldOf(blocked, options);
  world.connect();
  world.runUntil(() => world.allAttached, 10 * SECOND);
  world.run(2 * SECOND);
  return world;
}

const countOf = (world: World, type: number, up: boolean, transport?: Transport) =>
  world.wire.filter(
    (sent) =>
      sent.up === up &&
      typeOf(sent.octets) === type &&
      (transport === undefined || transportAt(sent.path) === transport),
  ).length;

const dead = (...transports: Transport[]) =>
  transports.flatMap((transport) => [`up 0 ${transport}`, `down 0 ${transport}`]);

// biome-ignore format: a table reads in columns
const reached: [name: string, blocked: string[], by: Transport][] = [
  ["everything passes: the fastest answer, here raw's, wins", [], "raw"],
  ["UDP is dead, raw is alive", dead("udp"), "raw"],
  ["raw is dead, UDP is alive", dead("raw"), "udp"],
  ["TCP alone is left", dead("raw", "udp"), "tcp"],
  ["raw does not pass upwards", ["up 0 raw"], "udp"],
  ["raw does not pass downwards", ["down 0 raw"], "udp"],
  ["raw passes upwards only, UDP downwards only", ["down 0 raw", "up 0 udp"], "tcp"],
];

for (const [name, blocked, by] of reached) {
  test(`a link is attached within three round trips when ${name}`, () => {
    const world = worldOf(blocked);
    world.connect();
    world.run(60 * MS);
    assert.ok(world.allAttached);
    assert.equal(carriedBy(world), by);
    assert.equal(homeOf(world), by);
    assert.ok(world.sendUp(0) && world.sendDown(0));
    world.run(SECOND);
    assert.deepEqual(world.delivered.sort(), ["down 0", "up 0"]);
    const before = world.wire.length;
    world.run(600 * SECOND);
    assert.equal(world.wire.length, before, "and nothing is repeated after that");
  });
}

test("each link finds its own transport", () => {
  const world = worldOf([...dead("raw"), "down 1 raw", "up 1 udp", "up 2 tcp"], { links: 3 });
  world.connect();
  world.run(60 * MS);
  assert.deepEqual(
    [0, 1, 2].map((link) => [carriedBy(world, link), homeOf(world, link)]),
    [
      ["udp", "udp"],
      ["tcp", "tcp"],
      ["raw", "raw"],
    ],
  );
});

test("INIT goes out by every transport and the first RESP is enough", () => {
  const world = connected();
  for (const transport of TRANSPORTS) {
    assert.equal(countOf(world, TYPE.init, true, transport), 1, transport);
    assert.equal(countOf(world, TYPE.resp, false, transport), 1, transport);
  }
  assert.equal(world.clientHost.established, 1);
});

test("ATTACH by several transports is challenged by each, and the first CHALLENGE alone is answered", () => {
  const world = connected();
  for (const transport of TRANSPORTS) {
    assert.equal(countOf(world, TYPE.attach, true, transport), 1, transport);
    assert.equal(countOf(world, TYPE.challenge, false, transport), 1, transport);
  }
  assert.equal(countOf(world, TYPE.response, true, "raw"), 1);
  assert.equal(countOf(world, TYPE.response, true), 1);
  assert.equal(world.client.counters.answeredAlready, 2);
  assert.equal(world.client.counters.unexpected, 0);
});

test("an ATTACH that comes late by a slow transport moves nothing and costs no message", () => {
  const world = worldOf([]);
  const inject = world.inject.bind(world);
  const held: (() => void)[] = [];
  world.inject = (octets, path) => {
    const slow = transportAt(path) === "tcp" && typeOf(octets) === TYPE.attach;
    if (slow) held.push(() => inject(octets, path));
    else inject(octets, path);
  };
  world.connect();
  world.run(LATE_ATTACH_US / 2);
  const before = world.wire.length;
  assert.equal(held.length, 1);
  for (const release of held) release();
  world.run(SECOND);
  assert.equal(world.wire.length, before);
  assert.equal(homeOf(world), "raw");
  assert.equal(world.portal.counters.answeredAlready, 1);
});

test("when the answer is lost, the next ATTACH may be answered by another transport", () => {
  const world = worldOf([]);
  world.tap = (up, octets) => {
    if (up && typeOf(octets) === TYPE.response) world.blocked.add("up 0 raw");
  };
  world.connect();
  world.run(SECOND);
  assert.equal(homeOf(world), "udp");
  assert.equal(carriedBy(world), "raw", "the transport of DATA is not the session's to change");
  const before = countOf(world, TYPE.attach, true);
  world.run(10 * SECOND);
  assert.equal(countOf(world, TYPE.attach, true), before, "and is confirmed");
});

test("a RESPONSE by another transport than its CHALLENGE's is refused", () => {
  const world = worldOf([]);
  const inject = world.inject.bind(world);
  world.inject = (octets, path) => {
    const misled = typeOf(octets) === TYPE.response && transportAt(path) === "raw";
    inject(octets, misled ? byTransport(world.paths[0] ?? assert.fail(), "udp") : path);
  };
  world.connect();
  world.run(50 * MS);
  assert.equal(world.portal.counters.unexpected, 1);
  assert.equal(homeOf(world), undefined);
});

test("a RESPONSE from another address than its CHALLENGE went to is refused", () => {
  const world = worldOf([], { transports: ["udp"] });
  const inject = world.inject.bind(world);
  world.inject = (octets, path) => {
    inject(octets, typeOf(octets) === TYPE.response ? pathOf(66) : path);
  };
  world.connect();
  world.run(50 * MS);
  assert.equal(world.portal.counters.unexpected, 1);
  assert.equal(homeOf(world), undefined);
});

/** Keeps back the first RESPONSE that comes by `transport`. @returns what delivers it */
function holdResponse(world: World, transport: Transport): () => void {
  const inject = world.inject.bind(world);
  let release: (() => void) | null = null;
  world.inject = (octets, path) => {
    const held = typeOf(octets) === TYPE.response && transportAt(path) === transport;
    if (held && release === null) release = () => inject(octets, path);
    else inject(octets, path);
  };
  return () => (release ?? assert.fail("nothing is held"))();
}

test("a RESPONSE that comes after another transport's does not move the home", () => {
  const world = worldOf(["down 0 raw"]);
  const release = holdResponse(world, "udp");
  world.connect();
  world.run(100 * MS);
  world.blocked.clear();
  world.run(SECOND);
  assert.equal(homeOf(world), "raw");
  release();
  assert.equal(homeOf(world), "raw");
  assert.equal(world.portal.counters.unexpected, 1);
});

test("a RESPONSE that is under way from the old address does not move a link back", () => {
  const world = worldOf([], { transports: ["udp"] });
  const release = holdResponse(world, "udp");
  world.connect();
  world.run(SECOND);
  assert.ok(world.allAttached);
  world.paths[0] = pathOf(77);
  world.sendUp(0, TYPE.data, new Uint8Array(500));
  world.run(SECOND);
  const pathTo = () => hex(world.portalHost.attached.get("0 0")?.path ?? assert.fail());
  assert.equal(pathTo(), hex(pathOf(77)));
  release();
  assert.equal(pathTo(), hex(pathOf(77)));
});

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

test("an ATTACH that somebody plays by another transport is not even challenged", () => {
  const world = worldOf(dead("udp"));
  const evil = pathOf(66, 6666);
  world.tap = (up, octets, path) => {
    if (!up || typeOf(octets) !== TYPE.attach || transportAt(path) !== "raw") return;
    world.inject(octets, evil);
  };
  world.connect();
  world.run(5 * SECOND);
  assert.equal(world.octets.get(hex(evil))?.down, 0);
  assert.equal(world.portal.counters.unexpected, 1);
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

test("16 links by 3 transports leave one INIT answers for the last of its life", () => {
  const world = new World({ links: 16, transports: TRANSPORTS });
  for (let link = 0; link < 16; link += 1) {
    for (const transport of TRANSPORTS) world.blocked.add(`down ${link} ${transport}`);
  }
  world.connect();
  world.run(16 * SECOND);
  world.blocked.delete("down 15 tcp");
  world.run(4 * SECOND);
  assert.ok(world.client.established);
  const keys = world.wire.filter(({ octets }) => typeOf(octets) === TYPE.init);
  assert.equal(new Set(keys.map(({ octets }) => hex(octets.subarray(20, 52)))).size, 1);
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

test("a rekey attaches each link anew by what answers first then", () => {
  const world = connected(dead("raw"));
  assert.equal(homeOf(world), "udp");
  for (const way of dead("raw")) world.blocked.delete(way);
  world.doClient((client) => client.renew(world.nowUs));
  world.run(2 * SECOND);
  assert.equal(homeOf(world), "raw");
  assert.equal(carriedBy(world), "raw");
});

test("a socket that opens late is used at once", () => {
  const world = worldOf(dead(...TRANSPORTS));
  world.connect();
  world.run(1500 * MS);
  for (const way of dead("tcp")) world.blocked.delete(way);
  world.doClient((client) => client.opened(world.nowUs, 0, "tcp"));
  world.run(50 * MS);
  assert.ok(world.allAttached);
  assert.equal(homeOf(world), "tcp");
  world.run(SECOND);
  const before = world.wire.length;
  world.doClient((client) => client.opened(world.nowUs, 0, "udp"));
  world.run(SECOND);
  assert.equal(world.wire.length, before, "and says nothing where nothing is unanswered");
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
