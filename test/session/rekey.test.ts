/** New keys: when they are made, what the old ones are good for meanwhile, and that nothing is lost over it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { REKEY_AFTER_US, SESSION_LIFETIME_US } from "../../src/session/limits.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { effectsOf } from "./host.ts";
import { typeOf } from "./network.ts";
import { World } from "./world.ts";

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
    const established = effectsOf(host, "established");
    assert.deepEqual(
      established.map(({ continued }) => continued),
      [false, true],
    );
    assert.equal(effectsOf(host, "detached").length, 0);
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
  assert.equal(effectsOf(world.clientHost, "lost").length, 0);
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
  assert.equal(effectsOf(world.clientHost, "established").at(-1)?.continued, true);
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
    [world.clientHost, world.portalHost].map((host) => effectsOf(host, "lost")[0]?.reason),
    ["expired", "expired"],
  );
  assert.equal(world.portalHost.addon.receives.size, 0);
  world.loss = 0;
  world.runUntil(() => world.allAttached, 10 * SECOND);
});

test("machines that have slept for longer than keys last have a session 4 round trips after they wake", () => {
  for (const hours of [1.5, 3, 300]) {
    const world = new World({ delayUs: 10 * MS });
    world.connect();
    world.run(SECOND);
    // Nothing ran meanwhile: all timers are late by that much.
    world.nowUs += hours * 3_600 * SECOND;
    world.run(4 * 20 * MS);
    assert.ok(world.allAttached, `after ${hours} h`);
    world.run(SECOND);
    world.sendUp(0);
    world.sendDown(0);
    world.run(SECOND);
    assert.deepEqual([...world.delivered].sort(), ["down 0", "up 0"], `after ${hours} h`);
  }
});
