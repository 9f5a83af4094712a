/** How a session is established and its links attached, whatever the network loses, or why it is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MS, SECOND } from "../../src/core/time.ts";
import { readLinkId } from "../../src/wire/message.ts";
import { SUITE } from "../../src/wire/offer.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { effectsOf } from "./host.ts";
import { typeOf } from "./network.ts";
import { pathOf } from "./paths.ts";
import { CLIENT_ID, KEY, World } from "./world.ts";

test("two links are attached at both ends after two and a half round trips", () => {
  const world = new World();
  world.connect();
  world.run(50 * MS);
  assert.ok(world.allAttached);
  assert.ok(world.client.established);
  assert.equal(world.client.unanswered, null);
});

test("nothing is sent once all links are attached", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  const before = world.wire.length;
  world.run(600 * SECOND);
  assert.equal(world.wire.length, before);
});

for (const suite of [SUITE.hmacSha256, SUITE.aes128Gcm]) {
  test(`data passes both ways on every link under suite ${suite}`, () => {
    const dataTag = suite === SUITE.aes128Gcm ? 16 : 12;
    const world = new World({ links: 3, initiator: { suite, dataTag }, responder: { suite } });
    world.connect();
    world.run(SECOND);
    for (const link of [0, 1, 2]) assert.ok(world.sendUp(link) && world.sendDown(link));
    world.run(SECOND);
    const all = ["down 0", "down 1", "down 2", "up 0", "up 1", "up 2"];
    assert.deepEqual(world.delivered.sort(), all);
  });
}

const HOUR = 3600 * SECOND;

test("a session is always established while anything passes, whatever is lost, doubled or late", () => {
  const network = {
    seed: fc.nat(),
    links: fc.integer({ min: 1, max: 4 }),
    loss: fc.double({ min: 0, max: 0.7, noNaN: true }),
    duplicate: fc.double({ min: 0, max: 0.5, noNaN: true }),
    delayUs: fc.integer({ min: 0, max: 300 * MS }),
    jitterUs: fc.integer({ min: 0, max: 400 * MS }),
  };
  const everybodyAttaches = (options: ConstructorParameters<typeof World>[0]) => {
    const world = new World(options);
    world.connect();
    // With seven of ten packets lost each way it takes three minutes in the mean, and is without memory.
    world.runUntil(() => world.allAttached, 3 * HOUR);
    world.loss = 0;
    world.duplicate = 0;
    world.run(5 * SECOND);
    for (let link = 0; link < world.paths.length; link += 1) {
      assert.ok(world.sendUp(link) && world.sendDown(link));
    }
    world.run(2 * SECOND);
    assert.equal(new Set(world.delivered).size, 2 * world.paths.length);
  };
  fc.assert(fc.property(fc.record(network), everybodyAttaches), { numRuns: 60 });
});

test("a dead link does not keep the others from being attached, and joins when it returns", () => {
  const world = new World({ links: 2 });
  const dead = world.paths[1] ?? assert.fail();
  world.paths[1] = pathOf(99);
  world.tap = () => {};
  const inject = world.inject.bind(world);
  world.inject = (octets, path) => {
    if (path[11] !== 99) inject(octets, path);
  };
  world.connect();
  world.run(60 * SECOND);
  assert.deepEqual([...world.portalHost.attached.keys()], ["0 0"]);
  world.paths[1] = dead;
  world.run(4 * SECOND);
  assert.ok(world.allAttached);
});

test("an unanswered INIT is counted by link and repeated with growing pauses", () => {
  const world = new World({ links: 2, loss: 1 });
  const startUs = world.nowUs;
  world.connect();
  world.run(30 * SECOND);
  const { sinceUs, sent } = world.client.unanswered ?? assert.fail("not waiting");
  assert.equal(sinceUs, startUs);
  const count = sent.get(0) ?? 0;
  assert.equal(sent.get(1), count);
  assert.ok(count >= 18 && count <= 21, `${count} in 30 s`);
  world.run(60 * SECOND);
  const inTime = sent.get(0) ?? 0;
  world.run(60 * SECOND);
  const seldom = (sent.get(0) ?? 0) - inTime;
  assert.ok(seldom >= 10 && seldom <= 12, `${seldom} in the third minute`);
});

test("a portal that starts late is found without help", () => {
  const world = new World();
  world.stopPortal();
  world.connect();
  world.run(100 * SECOND);
  world.startPortal();
  world.runUntil(() => world.allAttached, 6 * SECOND);
});

test("with a wrong key nothing is answered and nothing is kept", () => {
  const world = new World({ initiator: { key: new Uint8Array(32).fill(7) } });
  world.connect();
  world.run(60 * SECOND);
  assert.ok(world.wire.every(({ up }) => up));
  assert.deepEqual(world.portalHost.tags(), ["addClient"]);
  assert.equal(world.portalHost.addon.receives.size, 0);
});

const refusals = [
  { name: "encryption", initiator: { suite: SUITE.aes128Gcm, dataTag: 16 }, reason: "encrypt" },
  { name: "the length of the tag", initiator: { dataTag: 8 }, reason: "tag" },
  { name: "the transports", responder: { transports: ["raw"] as const }, reason: "transport" },
] as const;

for (const { name, reason, ...options } of refusals) {
  test(`a disagreement about ${name} is told to the client, which tries again later`, () => {
    const world = new World(options);
    world.connect();
    world.run(SECOND);
    const [refused] = effectsOf(world.clientHost, "refused");
    assert.deepEqual(refused, { tag: "refused", reason, suite: SUITE.hmacSha256, dataTag: 10 });
    assert.ok(!world.client.established);
    const before = world.wire.length;
    world.run(20 * SECOND);
    assert.equal(world.wire.length, before);
    world.run(11 * SECOND);
    assert.equal(effectsOf(world.clientHost, "refused").length, 2);
  });
}

test("the client learns its inner addresses", () => {
  const address = Uint8Array.from([10, 77, 0, 2]);
  const addresses = [{ family: 4 as const, address, bits: 32 }];
  const world = new World({
    responder: { clients: [{ clientId: CLIENT_ID, key: KEY, addresses }] },
  });
  world.connect();
  world.run(SECOND);
  assert.deepEqual(effectsOf(world.clientHost, "established")[0]?.addresses, addresses);
});

test("a link that is attached again keeps its ids and numbers", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  const before = world.clientHost.attached.get("0 1");
  world.doClient((client) => client.reattach(world.nowUs, 1));
  world.run(SECOND);
  assert.deepEqual(world.clientHost.attached.get("0 1"), before);
  assert.ok(world.allAttached);
  const attaches = world.wire.filter(({ octets }) => typeOf(octets) === TYPE.attach);
  assert.equal(attaches.length, 3, "and ATTACH is repeated no more");
});

test("ids are unlike on every link, direction and session", () => {
  const world = new World({ links: 4 });
  world.connect();
  world.run(SECOND);
  world.doClient((client) => client.renew(world.nowUs));
  world.run(SECOND);
  const ids = new Set(world.wire.map(({ octets }) => readLinkId(octets)));
  // Two sessions: reply id, attach id, and two ids for each of four links.
  assert.equal(ids.size, 2 * (2 + 8));
});
