/** Probing sessions: beside the tunnel's, one a client, never in its way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import { answerInit } from "../../src/session/answer.ts";
import { clientKeys, prologue } from "../../src/session/keys.ts";
import { PROBE_LIFETIME_US } from "../../src/session/limits.ts";
import { NoiseInitiator } from "../../src/session/noise.ts";
import { decodeTombstones } from "../../src/session/tombstones.ts";
import { decodeResp, initIdentity } from "../../src/wire/handshake.ts";
import { decodeChoice, encodeOffer, type Offer, RESULT, SUITE } from "../../src/wire/offer.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { Neighbours } from "./neighbours.ts";
import { pathOf } from "./paths.ts";
import { CLIENT_ID, KEY, World, type WorldOptions } from "./world.ts";

/** Number of the one client's probing session. */
const PROBE = 1;

function tunnel(options: WorldOptions = {}): World {
  const world = new World(options);
  world.connect();
  world.run(SECOND);
  assert.ok(world.allAttached);
  return world;
}

/** A probing client of the tunnel's key on links 192.0.2.`host` and on. */
function prober(portal: World, host = 50, options: WorldOptions = {}) {
  const initiator = { purpose: "probe" as const, ...options.initiator };
  const world = new World({ seed: host, transports: TRANSPORTS, ...options, initiator });
  const neighbours = new Neighbours(portal, world, (link) => pathOf(host + link));
  world.connect();
  neighbours.run(100 * MS);
  return { world, neighbours };
}

const tagsOf = (world: World, peer: number) =>
  world.portalHost.log.filter((effect) => "peer" in effect && effect.peer === peer);
const lostOf = (world: World, peer: number) =>
  tagsOf(world, peer).flatMap((effect) => (effect.tag === "lost" ? [effect.reason] : []));

function assertTunnelWorks(world: World): void {
  world.delivered.length = 0;
  for (const link of [0, 1]) assert.ok(world.sendUp(link) && world.sendDown(link));
  world.run(SECOND);
  assert.deepEqual(world.delivered.sort(), ["down 0", "down 1", "up 0", "up 1"]);
}

test("a probing session runs beside the tunnel's and touches nothing of it", () => {
  const world = tunnel();
  const attached = [...world.portalHost.attached];
  const before = tagsOf(world, 0).length;
  const { world: probe } = prober(world);
  assert.equal(tagsOf(world, 0).length, before);
  assert.deepEqual(
    [...world.portalHost.attached].filter(([key]) => key.startsWith("0 ")),
    attached,
  );
  for (const link of [0, 1]) {
    assert.ok(world.portalHost.attached.has(`${PROBE} ${link}`));
    assert.equal(probe.clientHost.attached.get(`0 ${link}`)?.transport, "raw");
  }
  assertTunnelWorks(world);
  const addon = world.portalHost.addon.receives.size;
  assert.equal(addon, 3 + 3, "an attach id and two links each");
});

test("a probing session needs no tunnel, and a tunnel that comes later leaves it alone", () => {
  const world = new World();
  const { world: probe, neighbours } = prober(world);
  assert.ok(probe.client.established);
  world.connect();
  neighbours.run(SECOND);
  assertTunnelWorks(world);
  assert.ok(probe.client.established);
  assert.deepEqual(lostOf(world, PROBE), []);
  assert.equal(world.portal.counters.replaced, 0);
});

test("the number of a probing session is that of its client behind all clients", () => {
  const ids = [0, 1, 2].map((last) => Uint8Array.from([...CLIENT_ID.subarray(0, 7), last]));
  const clients = ids.map((clientId) => ({ clientId, key: KEY, addresses: [] }));
  const clientId = ids[1] ?? assert.fail();
  const world = new World({ responder: { clients } });
  prober(world, 50, { initiator: { clientId } });
  const [established] = world.portalHost.log.filter(({ tag }) => tag === "established");
  assert.ok(established?.tag === "established");
  assert.equal(established.peer, 3 + 1);
  assert.equal(established.continued, false);
});

test("a newer probing session takes the older one's place, which does not come back", () => {
  const world = tunnel();
  const first = prober(world, 50);
  const second = prober(world, 60);
  first.neighbours.run(2 * SECOND);
  assert.deepEqual(lostOf(world, PROBE), ["replaced"]);
  assert.ok(second.world.client.established);
  const before = first.world.wire.length;
  first.world.doClient((client) => client.renew(first.world.nowUs));
  first.neighbours.run(10 * SECOND);
  assert.equal(first.world.wire.length, before);
  assert.deepEqual(lostOf(world, PROBE), ["replaced"]);
  assert.deepEqual(lostOf(world, 0), []);
  assert.equal(world.portal.counters.replaced, 0, "no second machine with the tunnel's key");
  assertTunnelWorks(world);
});

test("an INIT alone, played again by anybody, ends no probing session", () => {
  const world = tunnel();
  const first = prober(world);
  const silent = new World({ loss: 1, seed: 9, initiator: { purpose: "probe" } });
  silent.connect();
  for (const { octets } of silent.wire) world.inject(octets, pathOf(66));
  first.neighbours.run(SECOND);
  assert.deepEqual(lostOf(world, PROBE), []);
});

test("a probing session ends 20 minutes after its beginning at both ends, and is not begun again", () => {
  const world = tunnel();
  const { world: probe } = prober(world);
  const attached = world.portalHost.attached.size;
  world.run(PROBE_LIFETIME_US - SECOND);
  probe.run(PROBE_LIFETIME_US - SECOND);
  assert.ok(probe.client.established);
  assert.equal(world.portalHost.attached.size, attached);
  const before = probe.wire.length;
  world.run(2 * SECOND);
  probe.run(60 * SECOND);
  assert.deepEqual(lostOf(world, PROBE), ["expired"]);
  assert.ok(!probe.client.established);
  assert.equal(probe.client.deadlineUs(), NEVER);
  assert.equal(probe.wire.length, before);
  assert.equal(probe.clientHost.addon.receives.size, 0);
  assert.equal(world.portalHost.addon.receives.size, 3);
  assertTunnelWorks(world);
});

test("who has measured says goodbye, and only that session ends", () => {
  const world = tunnel();
  const { world: probe, neighbours } = prober(world);
  probe.doClient((client) => client.close(probe.nowUs));
  neighbours.run(100 * MS);
  assert.deepEqual(lostOf(world, PROBE), ["closed"]);
  assertTunnelWorks(world);
});

test("a portal that stops tells who measures, and he does not come back by himself", () => {
  const world = tunnel();
  const { world: probe, neighbours } = prober(world);
  world.doPortal((portal) => portal.close(world.nowUs));
  neighbours.run(5 * SECOND);
  assert.deepEqual(
    probe.clientHost.log.flatMap((effect) => (effect.tag === "lost" ? [effect.reason] : [])),
    ["closed"],
  );
  assert.equal(probe.client.deadlineUs(), NEVER);
});

test("nothing of a probing session is kept over a restart", () => {
  const world = tunnel();
  prober(world);
  world.run(2 * SECOND);
  assert.equal(decodeTombstones(world.record ?? assert.fail())?.length, world.paths.length);
});

test("a tunnel's client is told of a restart though it has measured meanwhile", () => {
  const world = tunnel();
  world.run(SECOND);
  world.stopPortal();
  world.startPortal();
  assert.ok(prober(world).world.client.established);
  world.doClient((client) => client.silent(world.nowUs, 0));
  world.run(SECOND);
  assert.equal(world.portal.counters.resetSent, 1);
  assertTunnelWorks(world);
});

test("a probing session is not rekeyed, and the tunnel's rekey leaves it alone", () => {
  const world = tunnel();
  const { world: probe, neighbours } = prober(world);
  const attached = [...probe.clientHost.attached];
  probe.doClient((client) => client.renew(probe.nowUs));
  world.doPortal((portal) => portal.requestRekey(world.nowUs, PROBE));
  world.doClient((client) => client.renew(world.nowUs));
  neighbours.run(SECOND);
  assert.equal(probe.clientHost.established, 1);
  assert.deepEqual([...probe.clientHost.attached], attached);
  assert.equal(world.clientHost.established, 2);
  assert.equal(tagsOf(world, PROBE).filter(({ tag }) => tag === "established").length, 1);
});

test("a portal that only measures refuses a tunnel and says so, and takes a probing session", () => {
  const world = new World({ responder: { probeOnly: true } });
  world.connect();
  world.run(SECOND);
  const refused = world.clientHost.log.flatMap((effect) =>
    effect.tag === "refused" ? [effect.reason] : [],
  );
  assert.deepEqual(refused, ["purpose"]);
  assert.equal(world.portalHost.addon.receives.size, 0);
  const { world: probe } = prober(world);
  assert.ok(probe.client.established);
});

for (const initiator of [{ suite: SUITE.aes128Gcm, dataTag: 16 }, { dataTag: 8 }]) {
  test(`a probing session is refused as a tunnel would be: ${JSON.stringify(initiator)}`, () => {
    const world = new World();
    const { world: probe } = prober(world, 50, { initiator });
    assert.ok(!probe.client.established);
    assert.ok(probe.clientHost.tags().includes("refused"));
  });
}

test("a probing session's DATA and CONTROL do not reach the tunnel's links", () => {
  const world = tunnel();
  const { world: probe, neighbours } = prober(world);
  const heard = world.portalHost.heard.get("0 0");
  const before = { ...heard };
  for (let count = 0; count < 20; count += 1) probe.sendUp(0, TYPE.data);
  neighbours.run(100 * MS);
  assert.deepEqual(world.portalHost.heard.get("0 0") ?? {}, before);
  assert.equal(world.portalHost.heard.get(`${PROBE} 0`)?.data, 20);
});

/** What the portal chooses for an offer, as its client reads it. */
function choiceFor(offered: Partial<Offer>, bond: Uint8Array | null = null) {
  const keys = clientKeys(KEY);
  const { octets: random } = new SeededRandom(5);
  const identity = initIdentity(CLIENT_ID);
  const setup = { psk: keys.noise, prologue: prologue(identity), privateKey: random(32) };
  const initiator = new NoiseInitiator(setup);
  const offer = { suite: 0, dataTag: 10, transports: 2, links: 1, purpose: 0 };
  const noise = initiator.write(encodeOffer({ ...offer, bond: new Uint8Array(8), ...offered }));
  const policy = { suite: 0, dataTagMin: 10, transports: 7, probeOnly: false };
  const init = { replyId: 1, identity, noise, cookie: new Uint8Array(16) };
  const options = { keys, addresses: [], bond, policy, random, takeId: () => 7 };
  const answer = answerInit(init, options) ?? assert.fail("INIT does not open");
  const resp = decodeResp(answer.reply.subarray(0, -16));
  const read = initiator.read(resp === "truncated" ? assert.fail() : resp) ?? assert.fail();
  return { answer, choice: decodeChoice(read.payload) };
}

test("a probing session continues no bond, whatever it offers", () => {
  const bond = new Uint8Array(8).fill(3);
  assert.ok(choiceFor({ bond, purpose: 0 }, bond).choice.continued);
  const { answer, choice } = choiceFor({ bond, purpose: 1 }, bond);
  assert.equal(choice.result, RESULT.ok);
  assert.ok(!choice.continued);
  assert.equal(answer.draft?.bond, null);
  assert.equal(answer.draft?.purpose, "probe");
});

test("a purpose of a later version is refused", () => {
  for (const purpose of [2, 255]) {
    const { answer, choice } = choiceFor({ purpose });
    assert.equal(choice.result, RESULT.purpose);
    assert.equal(answer.draft, null);
  }
});
