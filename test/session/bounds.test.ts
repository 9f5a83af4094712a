/** What a Remote Portal with many clients keeps, and how little it costs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PATH_AT } from "../../src/core/path.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import { TokenBucket } from "../../src/session/bucket.ts";
import { Contexts } from "../../src/session/contexts.ts";
import { CookieJar } from "../../src/session/cookie.ts";
import { COOKIE_SECRET_US, PENDING_MAX, PENDING_PER_CLIENT_MAX } from "../../src/session/limits.ts";
import { type Pending, PendingTable } from "../../src/session/pending.ts";
import { pathOf } from "./paths.ts";
import { CLIENT_ID, KEY, World } from "./world.ts";

const entry = (client: number, number: number) => ({
  key: `${client} ${number}`,
  client,
  answer: { reply: new Uint8Array(160), draft: null },
  context: number,
});

test("pending handshakes are bounded in all, the oldest gives way", () => {
  const table = new PendingTable();
  const evicted: Pending[] = [];
  for (let client = 0; client < PENDING_MAX + 50; client += 1) {
    evicted.push(...table.add(client, entry(client, 0)).evicted);
  }
  assert.equal(table.size, PENDING_MAX);
  assert.deepEqual(
    evicted.map(({ client }) => client),
    Array.from({ length: 50 }, (_, client) => client),
  );
});

test("pending handshakes are bounded by client, its oldest gives way", () => {
  const table = new PendingTable();
  table.add(0, entry(1, 0));
  const evicted: Pending[] = [];
  for (let number = 0; number < 20; number += 1) {
    evicted.push(...table.add(number, entry(7, number)).evicted);
  }
  assert.equal(table.size, 1 + PENDING_PER_CLIENT_MAX);
  assert.deepEqual(
    evicted.map(({ context }) => context),
    Array.from({ length: 20 - PENDING_PER_CLIENT_MAX }, (_, number) => number),
  );
  table.expire(NEVER);
  assert.equal(table.size, 0);
});

test("a portal without traffic wakes for nothing", () => {
  const world = new World();
  assert.equal(world.portal.deadlineUs(), NEVER);
  world.connect();
  world.run(60 * SECOND);
  let wakes = 0;
  for (let count = 0; count < 100; count += 1) {
    const deadlineUs = world.portal.deadlineUs();
    if (deadlineUs > world.nowUs + 600 * SECOND) break;
    wakes += 1;
    world.run(deadlineUs - world.nowUs);
  }
  assert.equal(wakes, 0);
});

test("a thousand clients that restart for ever leave no more behind than their sessions", () => {
  const random = new SeededRandom(9).octets;
  const clients = Array.from({ length: 1000 }, (_, index) => {
    const clientId = Uint8Array.from([...CLIENT_ID.subarray(0, 6), index >> 8, index & 255]);
    return { clientId, key: KEY, addresses: [] };
  });
  const world = new World({ links: 1, responder: { clients, random } });
  const [first] = clients;
  assert.ok(first);
  for (let round = 0; round < 50; round += 1) {
    world.run(10 * SECOND);
    world.doPortal((portal) => portal.timeout(world.nowUs));
    const own = new World({ links: 1, loss: 1, seed: round, initiator: first });
    own.connect();
    world.inject(own.wire[0]?.octets ?? assert.fail(), pathOf(round));
    assert.ok(world.portalHost.addon.receives.size <= PENDING_PER_CLIENT_MAX);
  }
  world.run(60 * SECOND);
  assert.equal(world.portalHost.addon.receives.size, 0);
  assert.equal(world.portal.deadlineUs(), NEVER);
});

test("a bucket gives its burst, then its rate, and fills no higher", () => {
  const bucket = new TokenBucket(10, 3);
  const taken = (nowUs: number) => {
    let count = 0;
    while (bucket.take(nowUs)) count += 1;
    return count;
  };
  assert.equal(taken(SECOND), 3);
  assert.equal(taken(SECOND + 99 * MS), 0);
  assert.equal(taken(SECOND + 200 * MS), 2);
  assert.equal(taken(100 * SECOND), 3);
});

test("ids are never 0, never twice, and free again after use", () => {
  const contexts = new Contexts<string>(new SeededRandom(1).octets);
  const ids = new Set(Array.from({ length: 5000 }, () => contexts.takeId()));
  assert.equal(ids.size, 5000);
  assert.ok(!ids.has(0));
  const [id] = ids;
  assert.ok(id !== undefined && !contexts.reserveId(id));
  contexts.freeId(id);
  assert.ok(contexts.reserveId(id));
});

test("a cookie outlives one change of the secret, not two", () => {
  const jar = new CookieJar(new SeededRandom(1).octets);
  const path = pathOf(1);
  const cookie = jar.make(0, CLIENT_ID, path);
  assert.ok(jar.check(COOKIE_SECRET_US + 1, CLIENT_ID, path, cookie));
  assert.ok(!jar.check(COOKIE_SECRET_US + 2, CLIENT_ID, pathOf(2), cookie));
  assert.ok(!jar.check(COOKIE_SECRET_US + 2, CLIENT_ID, pathOf(1, 9), cookie));
  const samePort = path.slice().fill(2, PATH_AT.transport, PATH_AT.transport + 1);
  assert.ok(!jar.check(COOKIE_SECRET_US + 2, CLIENT_ID, samePort, cookie), "by TCP");
  assert.ok(!jar.check(COOKIE_SECRET_US + 2, new Uint8Array(8), path, cookie));
  assert.ok(!jar.check(2 * COOKIE_SECRET_US + 3, CLIENT_ID, path, cookie));
  const later = jar.make(2 * COOKIE_SECRET_US + 4, CLIENT_ID, path);
  assert.ok(!jar.check(10 * COOKIE_SECRET_US, CLIENT_ID, path, later), "also after a long quiet");
});
