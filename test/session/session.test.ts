/** Handshake, attach, data, rekey and end of a session between two portals, in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MS, SECOND } from "../../src/core/time.ts";
import type { InitiatorEffect, ResponderEffect } from "../../src/session/effects.ts";
import { REKEY_AFTER_US, SESSION_LIFETIME_US } from "../../src/session/limits.ts";
import { readLinkId } from "../../src/wire/message.ts";
import { SUITE } from "../../src/wire/offer.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import type { Host } from "./host.ts";
import { typeOf } from "./network.ts";
import { pathOf } from "./paths.ts";
import { KEY, World } from "./world.ts";

const effects = <Tag extends (InitiatorEffect | ResponderEffect)["tag"]>(
  host: Host<InitiatorEffect> | Host<ResponderEffect>,
  tag: Tag,
) =>
  (host.log as (InitiatorEffect | ResponderEffect)[]).filter(
    (effect): effect is Extract<InitiatorEffect | ResponderEffect, { tag: Tag }> =>
      effect.tag === tag,
  );

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

test("a portal that comes back without its record is found within 2.5 s", () => {
  const world = new World();
  world.connect();
  world.run(2 * SECOND);
  world.stopPortal();
  world.record = undefined;
  world.doClient((client) => client.renew(world.nowUs));
  world.run(23 * SECOND);
  world.startPortal();
  world.runUntil(() => world.allAttached, 2_500 * MS);
});

test("a client that wants new keys every 5 s gets them, and its bond goes on", () => {
  const world = new World({ initiator: { rekeyAfterUs: 5 * SECOND } });
  world.connect();
  world.run(21 * SECOND);
  const established = world.clientHost.log.filter(({ tag }) => tag === "established");
  assert.deepEqual(
    established.map((effect) => effect.tag === "established" && effect.continued),
    [false, true, true, true, true],
  );
  assert.ok(world.allAttached);
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
    const [refused] = effects(world.clientHost, "refused");
    assert.deepEqual(refused, { tag: "refused", reason, suite: SUITE.hmacSha256, dataTag: 10 });
    assert.ok(!world.client.established);
    const before = world.wire.length;
    world.run(20 * SECOND);
    assert.equal(world.wire.length, before);
    world.run(11 * SECOND);
    assert.equal(effects(world.clientHost, "refused").length, 2);
  });
}

test("the client learns its inner addresses", () => {
  const address = Uint8Array.from([10, 77, 0, 2]);
  const addresses = [{ family: 4 as const, address, bits: 32 }];
  const world = new World({
    responder: { clients: [{ clientId: clientId(), key: KEY, addresses }] },
  });
  world.connect();
  world.run(SECOND);
  assert.deepEqual(effects(world.clientHost, "established")[0]?.addresses, addresses);
});

test("an hourly rekey changes keys and ids, keeps the bond and loses nothing under way", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  const before = world.clientHost.attached.get("0 0")?.transmitId;
  world.sendUp(0);
  world.run(REKEY_AFTER_US - SECOND / 2);
  world.run(200 * MS);
  const after = world.clientHost.attached.get("0 0")?.transmitId;
  assert.notEqual(after, before);
  for (const host of [world.clientHost, world.portalHost]) {
    const established = effects(host, "established");
    assert.deepEqual(
      established.map(({ continued }) => continued),
      [false, true],
    );
    assert.equal(effects(host, "detached").length, 0);
  }
  assert.equal(world.portalHost.seqs.get("0 0")?.control, 2, "sequence numbers go on");
  world.run(11 * SECOND);
  assert.equal(world.clientHost.addon.receives.size, 2, "the old contexts are gone");
  assert.equal(world.portalHost.addon.receives.size, 3);
});

test("packets under the old keys are accepted for 10 s after a rekey, then no more", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  const early = world.clientHost.seal(0, 0, TYPE.data, new Uint8Array(20)) ?? assert.fail();
  const late = world.clientHost.seal(0, 0, TYPE.data, new Uint8Array(20)) ?? assert.fail();
  world.doClient((client) => client.renew(world.nowUs));
  world.run(9 * SECOND);
  const path = world.paths[0] ?? assert.fail();
  world.inject(early, path);
  assert.deepEqual(world.delivered, ["up 0"]);
  world.run(3 * SECOND);
  world.inject(late, path);
  assert.deepEqual(world.delivered, ["up 0"]);
});

test("data flows without a gap through a hundred rekeys on bad links", () => {
  const world = new World({ seed: 5, loss: 0.05, jitterUs: 50 * MS, duplicate: 0.1 });
  world.connect();
  world.runUntil(() => world.allAttached, 60 * SECOND);
  let unsent = 0;
  for (let round = 0; round < 100; round += 1) {
    world.doClient((client) => client.renew(world.nowUs));
    for (let packet = 0; packet < 20; packet += 1) {
      if (!world.sendUp(packet & 1)) unsent += 1;
      if (!world.sendDown(packet & 1)) unsent += 1;
      world.run(700 * MS);
    }
  }
  assert.equal(unsent, 0);
  assert.equal(effects(world.clientHost, "lost").length, 0);
  assert.ok(world.delivered.length > 0.7 * 4000, `${world.delivered.length} of 4000`);
  assert.ok(world.clientHost.addon.receives.size <= 5);
  assert.ok(world.portalHost.addon.receives.size <= 10);
});

test("a CHALLENGE of the session before a rekey attaches nothing", () => {
  const world = new World();
  const held: Uint8Array[] = [];
  let holding = true;
  const injectDown = world.injectDown.bind(world);
  world.injectDown = (octets, link) => {
    if (holding && link === 1 && typeOf(octets) === TYPE.challenge) held.push(octets);
    else injectDown(octets, link);
  };
  world.connect();
  world.run(1500 * MS);
  holding = false;
  world.doClient((client) => client.renew(world.nowUs));
  world.runUntil(() => world.allAttached, 5 * SECOND);
  const attached = world.clientHost.attached.get("0 1");
  assert.ok(held.length > 0);
  for (const octets of held) injectDown(octets, 1);
  assert.deepEqual(world.clientHost.attached.get("0 1"), attached);
  assert.ok(world.client.counters.unexpected > 0);
});

test("the portal can ask for a rekey", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  world.doPortal((portal) => portal.requestRekey(world.nowUs, 0));
  world.run(SECOND);
  assert.equal(effects(world.clientHost, "established").at(-1)?.continued, true);
});

test("a rekey that finds no answer leaves the session working until its keys are too old", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  world.loss = 1;
  world.run(SESSION_LIFETIME_US - 10 * SECOND);
  assert.ok(world.client.established);
  world.run(20 * SECOND);
  assert.deepEqual(
    [world.clientHost, world.portalHost].map((host) => effects(host, "lost")[0]?.reason),
    ["expired", "expired"],
  );
  assert.equal(world.portalHost.addon.receives.size, 0);
  world.loss = 0;
  world.runUntil(() => world.allAttached, 10 * SECOND);
});

test("a restarted client begins afresh and the portal forgets the old link state", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  world.sendUp(0);
  world.run(SECOND);
  world.restartClient();
  world.run(SECOND);
  assert.ok(world.allAttached);
  assert.equal(effects(world.portalHost, "lost")[0]?.reason, "replaced");
  assert.equal(effects(world.portalHost, "established").at(-1)?.continued, false);
  assert.equal(world.portal.counters.replaced, 1);
  assert.equal(world.portalHost.addon.receives.size, 3);
});

test("the old session works until the new one's first ATTACH", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  const old = world.clientHost;
  // The restarted client gets as far as RESP only.
  world.tap = (up, octets) => {
    if (up && typeOf(octets) === TYPE.attach) world.loss = 1;
  };
  world.restartClient();
  world.run(25 * MS);
  const octets = old.seal(0, 0, TYPE.data, new Uint8Array(20)) ?? assert.fail();
  world.inject(octets, world.paths[0] ?? assert.fail());
  assert.deepEqual(world.delivered, ["up 0"]);
});

test("close says goodbye: the portal forgets at once", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  world.doClient((client) => client.close(world.nowUs));
  world.run(SECOND);
  assert.equal(effects(world.portalHost, "lost")[0]?.reason, "closed");
  assert.equal(world.portalHost.addon.receives.size, 0);
  assert.equal(world.clientHost.addon.receives.size, 0);
  assert.equal(world.client.deadlineUs(), Number.POSITIVE_INFINITY);
});

test("a client whose portal says goodbye comes back by itself", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  world.doPortal((portal) => portal.close(world.nowUs));
  world.stopPortal();
  world.run(SECOND);
  assert.equal(effects(world.clientHost, "lost")[0]?.reason, "closed");
  world.startPortal();
  world.runUntil(() => world.allAttached, 5 * SECOND);
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

function clientId(): Uint8Array {
  return Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
}
