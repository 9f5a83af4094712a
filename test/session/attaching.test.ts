/** By which transport a link is attached, where some do not pass, or pass in one direction only, or late. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport } from "../../src/core/transport.ts";
import { LATE_ATTACH_US } from "../../src/session/limits.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { hex } from "./addon-model.ts";
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
import { World } from "./world.ts";

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
