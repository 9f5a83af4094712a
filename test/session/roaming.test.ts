/** Links whose address changes, and attempts to make one change that has not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Path } from "../../src/core/path.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { AddressCheck, type Verdict } from "../../src/session/address-check.ts";
import { ROAM_GRACE_REPEAT_US, ROAM_GRACE_US, ROAM_TIMEOUT_US } from "../../src/session/limits.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { hex } from "./addon-model.ts";
import { typeOf } from "./network.ts";
import { byTransport, pathOf, settledAt } from "./paths.ts";
import { World } from "./world.ts";

const NEW = pathOf(1, 50000);
const EVIL = pathOf(66, 6666);

function connected(): World {
  const world = new World({ links: 2 });
  world.connect();
  world.run(SECOND);
  assert.ok(world.allAttached);
  return world;
}

const pathTo = (world: World, link: number): string => {
  const attached = world.portalHost.attached.get(`0 ${link}`);
  return hex(attached?.path ?? assert.fail("not attached"));
};

const body = (octets: number) => new Uint8Array(octets);

test("a link moves to its new address a round trip and a grace after the first packet", () => {
  const world = connected();
  world.paths[0] = NEW;
  world.sendUp(0, TYPE.data, body(1000));
  world.run(30 * MS + ROAM_GRACE_US - MS);
  assert.notEqual(pathTo(world, 0), hex(NEW));
  world.run(2 * MS);
  assert.equal(pathTo(world, 0), hex(NEW));
  assert.equal(world.portal.counters.roamOk, 1);
  world.sendDown(0);
  world.run(SECOND);
  assert.deepEqual(world.delivered, ["up 0", "down 0"]);
  assert.equal(pathTo(world, 1), hex(world.paths[1] ?? assert.fail()));
});

test("no data goes to an address that has not answered, and at most three times what it sent", () => {
  const world = connected();
  const old = world.paths[0] ?? assert.fail();
  world.tap = (up, octets) => {
    // The client's answers are lost: the new address never proves itself.
    if (up && typeOf(octets) === TYPE.response) world.loss = 1;
  };
  world.paths[0] = NEW;
  for (let count = 0; count < 50; count += 1) {
    world.loss = 0;
    world.sendUp(0, TYPE.data, body(0));
    world.run(100 * MS);
    world.sendDown(0);
    const { up, down } = world.octets.get(hex(NEW)) ?? assert.fail();
    assert.ok(down <= 3 * up, `${down} octets for ${up}`);
  }
  assert.ok(world.dataGoesTo.every((path) => hex(path) === hex(old)));
  assert.ok(world.portal.counters.roamUnanswered > 0);
});

for (const what of ["all its packets", "its data only"]) {
  test(`somebody who repeats a link's packets faster, ${what}, moves nothing`, () => {
    const world = connected();
    const genuine = world.paths[0] ?? assert.fail();
    let repeated = 0;
    world.tap = (up, octets, path) => {
      const chosen = what === "all its packets" || typeOf(octets) === TYPE.data;
      if (up && chosen && hex(path) === hex(genuine)) {
        repeated += 1;
        world.inject(octets, EVIL);
      }
      // And he hands the client what was sent to him.
      if (!up && hex(path) === hex(EVIL)) world.injectDown(octets, 0);
    };
    for (let count = 0; count < 100; count += 1) {
      world.sendUp(0, TYPE.data, body(500));
      world.run(50 * MS);
      world.sendDown(0);
      world.run(50 * MS);
    }
    assert.ok(repeated >= 100);
    assert.ok(world.portal.counters.roamConflict > 0);
    assert.equal(world.portal.counters.roamOk, 0);
    assert.ok(world.dataGoesTo.every((path) => hex(path) === hex(genuine)));
  });
}

test("an address that is gone before it could answer holds up the next one for 50 ms only", () => {
  const world = connected();
  // A translation that changes twice: one packet leaves by the first of both.
  world.paths[0] = pathOf(1, 49_999);
  world.sendUp(0, TYPE.data, body(1000));
  world.run(MS);
  world.paths[0] = NEW;
  for (let count = 0; count < 60; count += 1) {
    world.sendUp(0, TYPE.data, body(1000));
    world.run(5 * MS);
  }
  assert.equal(pathTo(world, 0), hex(NEW));
  assert.equal(world.portal.counters.roamOk, 1);
});

test("at most one check of a link runs at a time, with a pause behind it", () => {
  const world = connected();
  for (let count = 0; count < 1000; count += 1) {
    const octets = world.clientHost.seal(0, 0, TYPE.data, body(1000)) ?? assert.fail();
    world.inject(octets, pathOf(66, 1000 + count));
    world.run(10 * MS);
  }
  const challenges = world.wire.filter(
    ({ up, octets }) => !up && typeOf(octets) === TYPE.challenge,
  );
  assert.ok(challenges.length < 60, `${challenges.length} in 10 s`);
});

test("an ATTACH from a new address moves the link as any packet would", () => {
  const world = connected();
  world.paths[1] = pathOf(2, 50001);
  world.doClient((client) => client.reattach(world.nowUs, 1));
  world.run(SECOND);
  assert.equal(pathTo(world, 1), hex(pathOf(2, 50001)));
  const attaches = () => world.wire.filter(({ octets }) => typeOf(octets) === TYPE.attach).length;
  const before = attaches();
  world.run(60 * SECOND);
  assert.equal(attaches(), before, "and is confirmed");
});

const HOME = pathOf(1);
const UDP_PATH = byTransport(HOME, "udp");

/** A link whose home is raw, and whose HELLOs by UDP are answered where they came from. */
function twoWays(seed = 1): World {
  const world = new World({ seed, links: 1, transports: ["raw", "udp"] });
  world.connect();
  world.run(SECOND);
  assert.equal(pathTo(world, 0), hex(byTransport(HOME, "raw")));
  world.settled.set(settledAt(0, UDP_PATH), UDP_PATH);
  return world;
}

const settledOf = (world: World): string =>
  hex(world.settled.get(settledAt(0, UDP_PATH)) ?? assert.fail());

/** What a HELLO is to the session: a genuine CONTROL message by one transport. */
const hello = (world: World): boolean => world.sendUp(0, TYPE.feedback, body(60), "udp");

test("another transport than the home's moves a round trip and a grace after its first packet, alone", () => {
  const world = twoWays();
  world.paths[0] = NEW;
  hello(world);
  world.run(30 * MS + ROAM_GRACE_US - MS);
  assert.equal(settledOf(world), hex(UDP_PATH));
  world.run(2 * MS);
  assert.equal(settledOf(world), hex(NEW));
  assert.equal(pathTo(world, 0), hex(byTransport(HOME, "raw")), "the home stays");
  assert.equal(world.portal.counters.roamOk, 1);
});

for (const loss of [0, 0.05]) {
  test(`somebody who repeats every packet by another transport than the home's faster moves nothing, loss ${loss}`, () => {
    const world = twoWays();
    world.tap = (up, octets, path) => {
      if (up && hex(path) === hex(UDP_PATH)) world.inject(octets, EVIL);
      if (!up && hex(path) === hex(EVIL)) world.injectDown(octets, 0);
    };
    world.loss = loss;
    for (let round = 0; round < 200; round += 1) {
      hello(world);
      world.run(200 * MS);
      assert.equal(settledOf(world), hex(UDP_PATH), `round ${round}`);
    }
    assert.ok(world.portal.counters.roamConflict > 10, "or nothing was tried");
    assert.equal(world.portal.counters.roamOk, 0);
  });
}

test("no path of another transport than the home's is asked about while none is proven", () => {
  const world = twoWays();
  world.settled.clear();
  world.paths[0] = NEW;
  hello(world);
  world.run(SECOND);
  assert.equal(world.octets.get(hex(NEW))?.down, 0);
});

test("an address check reminds the old address while its grace lasts, unless it has answered", () => {
  const options = { path: NEW, nonce: NEW_NONCE, oldPath: OLD, oldNonce: OLD_NONCE };
  const check = new AddressCheck(0, options);
  check.received(0, 1000);
  assert.ok(check.takeChallenge(0) && !check.takeReminder(0));
  check.response(20 * MS, NEW_NONCE, NEW);
  const reminded = (atUs: number) => [check.takeReminder(atUs), check.takeReminder(atUs)];
  for (const afterUs of [0, ROAM_GRACE_REPEAT_US, 2 * ROAM_GRACE_REPEAT_US]) {
    assert.equal(check.deadlineUs(20 * MS + afterUs), 20 * MS + afterUs);
    assert.deepEqual(reminded(20 * MS + afterUs), [true, false]);
  }
  check.response(20 * MS + 2 * ROAM_GRACE_REPEAT_US, OLD_NONCE, OLD);
  assert.deepEqual(reminded(20 * MS + 3 * ROAM_GRACE_REPEAT_US), [false, false]);
});

interface Step {
  readonly atUs: number;
  readonly echo: Uint8Array;
  readonly from: Path;
}

const OLD = pathOf(1);
const NEW_NONCE = body(8).fill(1);
const OLD_NONCE = body(8).fill(2);
const fromNew = (atUs: number): Step => ({ atUs, echo: NEW_NONCE, from: NEW });
const fromOld = (atUs: number): Step => ({ atUs, echo: OLD_NONCE, from: OLD });

// biome-ignore format: a table reads in columns
const table: [name: string, steps: Step[], verdicts: [atUs: number, verdict: Verdict][]][] = [
  ["moves after a grace when the new address answers alone", [fromNew(20 * MS)],
    [[20 * MS, "open"], [20 * MS + ROAM_GRACE_US, "moved"]]],
  ["gives the old address its grace when the new one answers at the last moment", [fromNew(ROAM_TIMEOUT_US - MS)],
    [[ROAM_TIMEOUT_US, "open"], [ROAM_TIMEOUT_US - MS + ROAM_GRACE_US, "moved"]]],
  ["stays when both answer, the old one last", [fromNew(20 * MS), fromOld(60 * MS)], [[60 * MS, "conflict"]]],
  ["stays when both answer, the old one first", [fromOld(10 * MS), fromNew(20 * MS)], [[20 * MS, "conflict"]]],
  ["stays when the new address's nonce comes back from the old one",
    [{ atUs: 10 * MS, echo: NEW_NONCE, from: OLD }], [[10 * MS, "conflict"]]],
  ["stays when the old address's nonce comes back, from wherever",
    [{ atUs: 10 * MS, echo: OLD_NONCE, from: EVIL }, fromNew(20 * MS)], [[20 * MS, "conflict"]]],
  ["does not take the old nonce from the new address for its answer",
    [{ atUs: 10 * MS, echo: OLD_NONCE, from: NEW }], [[ROAM_TIMEOUT_US - 1, "open"], [ROAM_TIMEOUT_US, "unanswered"]]],
  ["gives up when nobody answers", [], [[ROAM_TIMEOUT_US - 1, "open"], [ROAM_TIMEOUT_US, "unanswered"]]],
  ["gives up when only the old address answers", [fromOld(10 * MS)], [[ROAM_TIMEOUT_US, "unanswered"]]],
];

for (const [name, steps, verdicts] of table) {
  test(`an address check ${name}`, () => {
    const options = { path: NEW, nonce: NEW_NONCE, oldPath: OLD, oldNonce: OLD_NONCE };
    const check = new AddressCheck(0, options);
    check.received(0, 1000);
    assert.ok(check.takeChallenge(0));
    for (const { atUs, echo, from } of steps) check.response(atUs, echo, from);
    for (const [atUs, verdict] of verdicts) assert.equal(check.verdict(atUs), verdict);
  });
}
