/** What a ladder never does, whatever happens: bounds on what it sends, when it wakes, and what it chooses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import { drain, helloOf, ladderOf } from "./lone-ladder.ts";
import { SIDES } from "./portal.ts";
import { World } from "./world.ts";

test("nothing is sent before the session has attached the link", () => {
  const ladder = ladderOf("local");
  ladder.open(0, "raw");
  ladder.open(0, "udp");
  assert.deepEqual(drain(ladder, 0, 10 * SECOND), []);
  assert.equal(ladder.current, null);
});

test("TCP is wanted when a second has passed and nothing has attached the link", () => {
  const ladder = ladderOf("local");
  ladder.open(0, "udp");
  drain(ladder, 0, SECOND - MS);
  assert.equal(ladder.wantsTcp, false);
  drain(ladder, SECOND, SECOND);
  assert.equal(ladder.wantsTcp, true);
  ladder.attached(SECOND + 1, "udp");
  drain(ladder, SECOND + 1, 40 * SECOND);
  assert.equal(ladder.wantsTcp, false);
});

test("TCP is always wanted where nothing else is allowed, and never where it is not allowed", () => {
  assert.equal(ladderOf("local", ["tcp"]).wantsTcp, true);
  assert.equal(ladderOf("remote", ["tcp"]).wantsTcp, false);
  const without = ladderOf("local", ["raw", "udp"]);
  without.open(0, "raw");
  drain(without, 0, 10 * SECOND);
  assert.equal(without.wantsTcp, false);
});

test("a transport that is not allowed is never used", () => {
  const ladder = ladderOf("local", ["udp"]);
  for (const transport of TRANSPORTS) ladder.open(0, transport);
  ladder.attached(0, "raw");
  assert.equal(ladder.current, null);
  ladder.attached(0, "udp");
  assert.equal(ladder.current, "udp");
  assert.deepEqual(ladder.usable, [false, true, false]);
  const used = new Set(drain(ladder, 0, 60 * SECOND).map(({ transport }) => transport));
  assert.deepEqual([...used], ["udp"]);
});

test("a socket that closes is left at once, for the one that was seen to work", () => {
  const world = new World(1);
  world.both("udp", { blocked: false });
  world.run(3 * SECOND);
  world.local.ladder.close(world.nowUs, "raw");
  assert.equal(world.local.ladder.current, "udp");
  world.local.ladder.close(world.nowUs, "udp");
  assert.equal(world.local.ladder.current, null);
  world.local.ladder.open(world.nowUs, "udp");
  world.run(SECOND);
  assert.equal(world.local.ladder.current, "udp");
  assert.deepEqual(
    world.local.switches.map(({ to, cause }) => `${to}: ${cause}`),
    ["raw: attached", "udp: closed", "udp: answered"],
  );
});

test("a HELLO that says it was sent by another transport is ignored", () => {
  const remote = ladderOf("remote");
  remote.open(0, "udp");
  remote.attached(0, "udp");
  drain(remote, 0, 0);
  remote.receive(SECOND, "udp", helloOf({ transport: 0 }));
  assert.deepEqual(drain(remote, SECOND, SECOND), []);
  remote.receive(SECOND, "udp", helloOf({ transport: 1 }));
  assert.equal(drain(remote, SECOND, SECOND).length, 1);
});

test("asks are answered at most a hundred times a second", () => {
  const local = ladderOf("local", ["udp"]);
  local.open(0, "udp");
  local.attached(0, "udp");
  drain(local, 0, SECOND);
  let answers = 0;
  for (let number = 1; number <= 1000; number += 1) {
    const nowUs = SECOND + number * MS;
    local.receive(nowUs, "udp", helloOf({ transport: 1, number }));
    answers += drain(local, nowUs, nowUs).length;
  }
  assert.ok(answers >= 95 && answers <= 101, `${answers}`);
});

for (const seed of [1, 2, 3]) {
  test(`an idle link costs a HELLO in 11 to 15 s by each transport (seed ${seed})`, () => {
    const world = new World(seed);
    world.run(60 * SECOND);
    const before = SIDES.map((side) => [...world.portal(side).hellos]);
    const polls = SIDES.map((side) => world.portal(side).polls);
    world.run(3600 * SECOND);
    SIDES.forEach((side, index) => {
      for (const number of [0, 1]) {
        const count = (world.portal(side).hellos[number] ?? 0) - (before[index]?.[number] ?? 0);
        assert.ok(count >= 230 && count <= 350, world.say(`${side} sent ${count}`));
      }
      const woken = world.portal(side).polls - (polls[index] ?? 0);
      assert.ok(woken < 1600, world.say(`${side} woke ${woken} times`));
    });
  });

  test(`an outage of an hour costs few HELLOs (seed ${seed})`, () => {
    const world = new World(seed);
    world.busy(20);
    world.run(10 * SECOND);
    for (const transport of TRANSPORTS) world.both(transport, { blocked: true });
    const before = SIDES.map((side) =>
      world.portal(side).hellos.reduce((sum, count) => sum + count),
    );
    world.run(10 * SECOND);
    world.idle();
    world.run(3600 * SECOND);
    SIDES.forEach((side, index) => {
      const count =
        world.portal(side).hellos.reduce((sum, one) => sum + one) - (before[index] ?? 0);
      // By each of two transports: the fast ticks, then one in 5 s.
      assert.ok(count < 2 * (80 + 3600 / 5), world.say(`${side} sent ${count}`));
    });
  });
}

/** A fault and how long it lasts. */
const fault = fc.record(
  {
    transport: fc.constantFrom(...TRANSPORTS),
    side: fc.constantFrom(...SIDES),
    blocked: fc.boolean(),
    loss: fc.constantFrom(0, 0, 0.05, 0.3),
    octetsMax: fc.constantFrom(65_535, 65_535, 1000),
    mangles: fc.constantFrom(false, false, true),
    policedRate: fc.constantFrom(Number.POSITIVE_INFINITY, 0.125),
    flush: fc.boolean(),
    event: fc.constantFrom("none", "hint", "path", "close", "address"),
    forMs: fc.integer({ min: 50, max: 40_000 }),
  },
  { noNullPrototype: true },
);

test("whatever happens: only usable transports carry, rates are bounded, and it ends well", () => {
  const script = fc.tuple(
    fc.integer({ min: 1, max: 1_000_000 }),
    fc.array(fault, { maxLength: 8 }),
  );
  fc.assert(
    fc.property(script, ([seed, faults]) => {
      const world = new World(seed);
      world.run(2 * SECOND);
      world.busy(100);
      for (const one of faults) {
        const { transport, side, flush, event, forMs, ...change } = one;
        Object.assign(world.way(side, transport), change);
        if (flush) world.nat?.flush();
        const { ladder } = world.portal(side);
        if (event === "hint") ladder.hint(world.nowUs, transport);
        if (event === "path") ladder.pathChanged(world.nowUs);
        if (event === "close" && side === "local" && transport !== "tcp") {
          ladder.close(world.nowUs, transport);
          ladder.open(world.nowUs, transport);
        }
        if (event === "address" && ladder.usable[TRANSPORTS.indexOf(transport)]) {
          ladder.open(world.nowUs, transport);
        }
        // The world itself checks what carries, deadlines, and raw that is not heard.
        const before = world.portal(side).helloOctets;
        world.run(forMs * MS);
        const rate = (world.portal(side).helloOctets - before) / (forMs / 1000 + 1);
        assert.ok(rate < 250_000, world.say(`${rate} octets of HELLO a second`));
      }
      const healed = { blocked: false, loss: 0, octetsMax: 65_535, mangles: false };
      for (const transport of TRANSPORTS) {
        world.both(transport, { ...healed, policedRate: Number.POSITIVE_INFINITY });
      }
      world.run(60 * SECOND);
      for (const side of SIDES) {
        const portal = world.portal(side);
        assert.ok(portal.ladder.current !== null, world.say(`${side} carries by nothing`));
        assert.ok(
          world.nowUs - portal.lastDeliveredUs < SECOND,
          world.say(`${side} delivers nothing`),
        );
      }
    }),
    { numRuns: 60 },
  );
});
