/** How a session ends and begins anew: a goodbye, a restarted client, a portal that forgot. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { effectsOf } from "./host.ts";
import { typeOf } from "./network.ts";
import { World } from "./world.ts";

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

test("a restarted client begins afresh and the portal forgets the old link state", () => {
  const world = new World();
  world.connect();
  world.run(SECOND);
  world.sendUp(0);
  world.run(SECOND);
  world.restartClient();
  world.run(SECOND);
  assert.ok(world.allAttached);
  assert.equal(effectsOf(world.portalHost, "lost")[0]?.reason, "replaced");
  assert.equal(effectsOf(world.portalHost, "established").at(-1)?.continued, false);
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
  assert.equal(effectsOf(world.portalHost, "lost")[0]?.reason, "closed");
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
  assert.equal(effectsOf(world.clientHost, "lost")[0]?.reason, "closed");
  world.startPortal();
  world.runUntil(() => world.allAttached, 5 * SECOND);
});
