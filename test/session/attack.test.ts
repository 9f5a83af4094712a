/** What somebody without the key can do with what he sees and sends: nothing that lasts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import {
  PENDING_LIFETIME_US,
  PENDING_PER_CLIENT_MAX,
  REPLIES_PER_PENDING_MAX,
} from "../../src/session/limits.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { encodeReset } from "../../src/wire/reset.ts";
import { hex } from "./addon-model.ts";
import { typeOf } from "./network.ts";
import { pathOf } from "./paths.ts";
import { CLIENT_ID, KEY, World } from "./world.ts";

const ATTACKER = pathOf(66, 6666);

function connected(options: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World(options);
  world.connect();
  world.run(SECOND);
  assert.ok(world.allAttached);
  return world;
}

/** What the portal sent to the attacker's address. */
function sentTo(world: World, path = ATTACKER): number {
  return world.octets.get(hex(path))?.down ?? 0;
}

test("every message with one bit changed is refused by the addon", () => {
  const world = new World();
  const seen = new Set<number>();
  const tried: Record<string, number> = {};
  world.tap = (up, octets) => {
    const type = typeOf(octets);
    if (seen.has(type)) return;
    seen.add(type);
    const { addon } = up ? world.portalHost : world.clientHost;
    for (let bit = 0; bit < octets.length * 8; bit += 1) {
      const forged = Uint8Array.from(octets);
      forged[bit >> 3] = (forged[bit >> 3] as number) ^ (0x80 >> (bit & 7));
      const opened = addon.open(forged);
      assert.equal(typeof opened, "string", `type ${type}, bit ${bit}`);
      tried[type] = (tried[type] ?? 0) + 1;
    }
  };
  // A full budget makes the portal ask for a cookie, so that RETRY is seen as well.
  for (let round = 0; round < 8; round += 1) world.restartClient();
  world.run(SECOND);
  world.sendUp(0);
  world.sendUp(0, TYPE.feedback);
  world.run(SECOND);
  const expected: number[] = [TYPE.init, TYPE.resp, TYPE.retry, TYPE.attach, TYPE.challenge];
  expected.push(TYPE.response, TYPE.control, TYPE.data, TYPE.feedback);
  assert.deepEqual([...seen].sort(), expected.sort());
  assert.equal(tried[TYPE.init], 160 * 8);
});

test("octets at random get no answer, in any type and length", () => {
  const world = connected();
  const random = new SeededRandom(3);
  world.run(5 * SECOND);
  const before = { log: world.portalHost.log.length, size: world.portalHost.addon.receives.size };
  for (let count = 0; count < 20_000; count += 1) {
    const octets = random.octets(random.uint32() % 200);
    if (octets.length > 0) octets[0] = random.uint32() & 0xff;
    world.inject(octets, ATTACKER);
  }
  world.run(10 * SECOND);
  assert.equal(sentTo(world), 0);
  assert.equal(world.portalHost.log.length, before.log);
  assert.equal(world.portalHost.addon.receives.size, before.size);
});

test("INITs played again neither end a session nor fill anything", () => {
  const world = connected();
  for (let count = 0; count < 5; count += 1) {
    world.doClient((client) => client.renew(world.nowUs));
    world.run(40 * SECOND);
  }
  const inits = world.wire.filter(({ up, octets }) => up && typeOf(octets) === TYPE.init);
  const established = world.portalHost.established;
  for (let count = 0; count < 2_000; count += 1) {
    const { octets } = inits[count % inits.length] ?? assert.fail();
    world.inject(octets, ATTACKER);
    world.run(50 * MS);
    if (count % 20 === 0) assert.ok(world.sendUp(0) && world.sendDown(0));
    assert.ok(world.portalHost.addon.receives.size <= 5 + PENDING_PER_CLIENT_MAX);
  }
  world.run(PENDING_LIFETIME_US + SECOND);
  assert.equal(world.portalHost.established, established);
  assert.equal(world.delivered.length, 200, "and data was never interrupted");
  assert.equal(world.portalHost.addon.receives.size, 3);
  const { up, down } = world.octets.get(hex(ATTACKER)) ?? assert.fail();
  assert.ok(down <= up, "replies are not longer than their questions");
});

test("one INIT is answered a bounded number of times", () => {
  const world = new World({ links: 1 });
  world.connect();
  const { octets } = world.wire[0] ?? assert.fail();
  for (let count = 0; count < 1_000; count += 1) world.inject(octets, ATTACKER);
  assert.equal(sentTo(world), REPLIES_PER_PENDING_MAX * 160);
});

test("everything on the wire played again, from elsewhere and later, changes nothing", () => {
  const world = connected({ links: 3 });
  for (const link of [0, 1, 2]) world.sendUp(link);
  world.run(SECOND);
  const recorded = world.wire.filter(({ up }) => up);
  world.doClient((client) => client.renew(world.nowUs));
  world.run(20 * SECOND);
  const delivered = world.delivered.length;
  const attached = [...world.portalHost.attached];
  for (const { octets, path } of recorded) {
    for (const from of [ATTACKER, path]) world.inject(octets, from);
  }
  world.run(60 * SECOND);
  assert.equal(world.delivered.length, delivered);
  assert.deepEqual([...world.portalHost.attached], attached);
  assert.equal(world.portalHost.established, 2);
});

test("a flood of handshakes is met with cookies, and a client that has one gets in", () => {
  const clients = manyClients(400);
  const last = clients[399] ?? assert.fail();
  const world = new World({ responder: { clients }, initiator: { clientId: last.clientId } });
  const inits = clients.slice(0, 399).map(({ clientId }) => initOf(clientId));
  for (const octets of inits) world.inject(octets, ATTACKER);
  const { retrySent, retryLimited } = world.portal.counters;
  assert.deepEqual({ retrySent, retryLimited }, { retrySent: 300, retryLimited: 79 });
  assert.equal(sentTo(world), 20 * 160 + 300 * 40);
  world.run(5 * SECOND);
  world.connect();
  for (let count = 0; count < 100; count += 1) {
    for (const octets of inits.slice(0, 3)) world.inject(octets.slice(), ATTACKER);
    world.run(10 * MS);
  }
  assert.ok(world.client.established);
});

test("a client whose one good way is TCP on its fourth link gets in while many others try", () => {
  const clients = manyClients(100);
  const last = clients[99] ?? assert.fail();
  const transports = ["raw", "udp", "tcp"] as const;
  const load = Array.from({ length: 600 }, (_, round) =>
    initOf(clients[round % 99]?.clientId ?? assert.fail(), round),
  );
  for (let seed = 0; seed < 5; seed += 1) {
    const initiator = { clientId: last.clientId };
    const world = new World({ seed, links: 4, transports, responder: { clients }, initiator });
    for (const link of [0, 1, 2, 3]) {
      for (const transport of transports) {
        if (link === 3 && transport === "tcp") continue;
        world.blocked.add(`down ${link} ${transport}`);
        // What the first link asks is answered in vain.
        if (link > 0) world.blocked.add(`up ${link} ${transport}`);
      }
    }
    load.forEach((octets, round) => {
      // Fifty new ones a second, each by twelve ways.
      for (let way = 0; way < 12; way += 1) world.inject(octets, pathOf(66, 6000 + way));
      if (round === 150) {
        assert.ok(world.portal.counters.retryLimited > 0, "the portal is busy");
        world.connect();
      }
      world.run(SECOND / 50);
    });
    assert.ok(world.client.established, `not within 9 s, seed ${seed}`);
  }
});

test("a client with 4 links and 3 transports gets in by RETRY alone, on every way", () => {
  const transports = ["raw", "udp", "tcp"] as const;
  const world = new World({ links: 4, transports });
  for (let seed = 100; seed < 110; seed += 1) world.inject(initOf(CLIENT_ID, seed), ATTACKER);
  world.connect();
  world.run(200 * MS);
  assert.ok(world.allAttached);
  const inits = world.wire.filter(({ up, octets }) => up && typeOf(octets) === TYPE.init);
  const cookies = inits.map(({ octets }) => hex(octets.subarray(128, 144)));
  assert.equal(new Set(cookies).size, 1 + 12, "none at first, then one for each way");
  assert.equal(world.portal.counters.cookieStale, 0, "each on the way it came by");
});

test("a client whose budget a replayer has used up gets in with a cookie", () => {
  const inits: Uint8Array[] = [];
  for (let seed = 0; seed < 50; seed += 1) inits.push(initOf(CLIENT_ID, seed));
  const world = new World();
  for (let count = 0; count < 200; count += 1) {
    world.inject(inits[count % 50] ?? assert.fail(), ATTACKER);
    if (count === 100) world.connect();
    world.run(100 * MS);
  }
  assert.ok(world.allAttached);
  assert.ok(world.portal.counters.retrySent > 0);
  assert.ok(world.portalHost.addon.receives.size <= 3 + PENDING_PER_CLIENT_MAX);
});

test("a cookie is good for one address and for a limited time", () => {
  const world = new World({ links: 1 });
  for (let seed = 100; seed < 110; seed += 1) world.inject(initOf(CLIENT_ID, seed), ATTACKER);
  world.connect();
  world.run(60 * MS);
  assert.ok(world.client.established);
  const inits = world.wire.filter(({ up, octets }) => up && typeOf(octets) === TYPE.init);
  const withCookie = inits.at(-1)?.octets ?? assert.fail();
  assert.ok(withCookie.subarray(128, 144).some((octet) => octet !== 0));
  world.run(PENDING_LIFETIME_US + SECOND);
  for (let count = 0; count < 8; count += 1) world.inject(initOf(CLIENT_ID, 200 + count), ATTACKER);
  world.inject(withCookie, ATTACKER);
  assert.equal(world.portal.counters.cookieStale, 1, "from another address");
  const path = world.paths[0] ?? assert.fail();
  world.inject(withCookie, path);
  assert.equal(world.portal.counters.cookieStale, 1, "from its own");
  world.run(250 * SECOND);
  world.inject(withCookie, path);
  assert.equal(world.portal.counters.cookieStale, 2, "four minutes later");
});

test("a RESET without the right token has no effect", () => {
  const world = connected();
  const id = world.clientHost.attached.get("0 0")?.transmitId ?? assert.fail();
  world.injectDown(encodeReset(id, 1, new Uint8Array(16).fill(9)), 0);
  assert.ok(world.client.established);
});

function manyClients(count: number) {
  return Array.from({ length: count }, (_, index) => {
    const clientId = Uint8Array.from([...CLIENT_ID.subarray(0, 6), index >> 8, index & 255]);
    return { clientId, key: KEY, addresses: [] };
  });
}

/** An INIT as another machine with this key would make it. */
function initOf(clientId: Uint8Array, seed = 1): Uint8Array {
  const random = new SeededRandom(seed * 7919 + (clientId[7] ?? 0)).octets;
  const world = new World({ links: 1, loss: 1, initiator: { clientId, random } });
  world.connect();
  return world.wire[0]?.octets ?? assert.fail();
}
