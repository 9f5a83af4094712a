/** A Remote Portal that comes back without its memory, and what it left for itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { RESETS_BURST, SESSION_LIFETIME_US, TOMBSTONES_MAX } from "../../src/session/limits.ts";
import { decodeTombstones, encodeTombstones } from "../../src/session/tombstones.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { typeOf } from "./network.ts";
import { World } from "./world.ts";

function restarted(): World {
  const world = new World();
  world.connect();
  world.run(2 * SECOND);
  assert.ok(world.allAttached);
  world.stopPortal();
  world.run(SECOND);
  world.startPortal();
  return world;
}

test("one ping after a restart brings the session back within four round trips", () => {
  const world = restarted();
  world.doClient((client) => client.silent(world.nowUs, 0));
  world.run(20 * MS);
  assert.ok(!world.client.established);
  const lost = world.clientHost.log.find(({ tag }) => tag === "lost");
  assert.deepEqual(lost, { tag: "lost", peer: 0, reason: "reset" });
  world.run(60 * MS);
  assert.ok(world.allAttached);
  assert.equal(world.portal.counters.resetSent, 1);
});

test("a client whose links are all silent asks four times as often", () => {
  const asked = (hurried: boolean) => {
    const world = restarted();
    world.stopPortal();
    world.wire.length = 0;
    for (let turn = 0; turn < 100; turn += 1) {
      world.doClient((client) => client.silent(world.nowUs, 0, hurried));
      world.run(10 * MS);
    }
    return world.wire.filter(({ octets }) => typeOf(octets) === TYPE.control).length;
  };
  assert.equal(asked(false), 5);
  assert.equal(asked(true), 20);
});

test("FEEDBACK is answered as well, DATA is not, and RESET is no longer than its question", () => {
  const world = restarted();
  world.wire.length = 0;
  world.sendUp(0);
  world.run(20 * MS);
  assert.equal(world.wire.filter(({ up }) => !up).length, 0);
  world.sendUp(1, TYPE.feedback, new Uint8Array(30));
  world.run(10 * MS);
  const reset = world.wire.find(({ octets }) => typeOf(octets) === TYPE.reset) ?? assert.fail();
  assert.equal(reset.octets.length, 24);
});

test("without the record the session comes back when the client asks for a handshake", () => {
  const world = restarted();
  world.stopPortal();
  world.record = undefined;
  world.startPortal();
  world.doClient((client) => client.silent(world.nowUs, 0));
  world.run(SECOND);
  assert.ok(world.client.established, "nobody said otherwise");
  world.doClient((client) => client.renew(world.nowUs));
  world.run(SECOND);
  assert.ok(world.allAttached);
  const established = world.clientHost.log.filter(({ tag }) => tag === "established").at(-1);
  assert.ok(established?.tag === "established" && !established.continued);
});

test("a damaged record is a warning, not a failure", () => {
  const world = restarted();
  world.stopPortal();
  world.record = new Uint8Array(77);
  world.startPortal();
  assert.ok(world.portalHost.tags().includes("note"));
  assert.equal(world.portalHost.addon.receives.size, 0);
});

test("RESETs are limited", () => {
  const world = restarted();
  for (let count = 0; count < 100; count += 1) {
    const octets = world.clientHost.seal(0, 0, TYPE.control, Uint8Array.of(4)) ?? assert.fail();
    world.inject(octets, world.paths[0] ?? assert.fail());
  }
  assert.equal(world.portal.counters.resetSent, RESETS_BURST);
  assert.equal(world.portal.counters.resetLimited, 100 - RESETS_BURST);
});

test("a RESET seen once ends no later session", () => {
  const world = restarted();
  world.doClient((client) => client.silent(world.nowUs, 0));
  world.run(SECOND);
  const reset = world.wire.find(({ octets }) => typeOf(octets) === TYPE.reset) ?? assert.fail();
  assert.ok(world.allAttached);
  world.injectDown(reset.octets, 0);
  assert.ok(world.client.established);
});

test("two restarts in a row forget nobody", () => {
  const world = restarted();
  world.stopPortal();
  world.startPortal();
  world.doClient((client) => client.silent(world.nowUs, 1));
  world.run(SECOND);
  assert.ok(world.allAttached);
});

test("a client's tombstones go when it has a session again, all of them in the end", () => {
  const world = restarted();
  assert.equal(world.portalHost.addon.receives.size, 2);
  world.run(SESSION_LIFETIME_US + 20 * SECOND);
  assert.equal(world.portalHost.addon.receives.size, 3, "those of the session since made");
  const other = restarted();
  other.doClient((client) => client.renew(other.nowUs));
  other.run(SECOND);
  assert.equal(other.portalHost.addon.receives.size, 3);
});

test("a record keeps what it is given, up to its limit, and nothing else reads as one", () => {
  const tombstone = (linkId: number) => ({
    clientId: new Uint8Array(8).fill(1),
    linkId,
    control: new Uint8Array(32).fill(2),
    token: new Uint8Array(16).fill(3),
  });
  const some = [tombstone(1), tombstone(0xffffff)];
  assert.deepEqual(decodeTombstones(encodeTombstones(some)), some);
  assert.deepEqual(decodeTombstones(encodeTombstones([])), []);
  const many = Array.from({ length: TOMBSTONES_MAX + 10 }, (_, index) => tombstone(index));
  assert.equal(decodeTombstones(encodeTombstones(many))?.length, TOMBSTONES_MAX);
  const record = encodeTombstones(some);
  assert.equal(decodeTombstones(record.subarray(0, -1)), null);
  assert.equal(decodeTombstones(record.subarray(1)), null);
  assert.equal(decodeTombstones(new Uint8Array(0)), null);
  assert.equal(decodeTombstones(record.fill(0, 4, 5)), null, "another version");
});
