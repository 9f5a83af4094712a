/** What a ladder never does, whatever happens: bounds on what it sends, when it wakes, and what it chooses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport } from "../../src/core/transport.ts";
import { Ladder } from "../../src/ladder/ladder.ts";
import { decodeHello, HELLO_OCTETS, type Hello } from "../../src/wire/hello.ts";
import { PREAMBLE_OCTETS } from "../../src/wire/preamble.ts";
import { FULL_OCTETS, SIDES } from "./portal.ts";
import { World } from "./world.ts";

const NOTHING = { highest: 0, bitmap: 0, echo: 0 };

function ladderOf(role: "local" | "remote", allowed: readonly Transport[] = TRANSPORTS): Ladder {
  return new Ladder({ role, allowed, random: new SeededRandom(1).octets, fullOctets: FULL_OCTETS });
}

function helloOf(change: Partial<Hello> = {}): Hello {
  return {
    ...{ transport: 0, carries: 255, ask: true, full: false, number: 1, nonce: 7, badTags: 0 },
    seen: [NOTHING, NOTHING, NOTHING],
    octets: HELLO_OCTETS,
    ...change,
  };
}

/** What it sends from now to `untilUs`, driven by its deadlines. */
function drain(ladder: Ladder, fromUs: number, untilUs: number) {
  const sent: { atUs: number; transport: Transport; hello: Hello }[] = [];
  for (let nowUs = fromUs; nowUs <= untilUs; nowUs = Math.max(ladder.deadlineUs(), nowUs + MS)) {
    for (let out = ladder.poll(nowUs); out !== null; out = ladder.poll(nowUs)) {
      const message = new Uint8Array(PREAMBLE_OCTETS + out.body.length);
      message.set(out.body, PREAMBLE_OCTETS);
      const hello = decodeHello(message);
      assert.ok(hello !== "truncated");
      sent.push({ atUs: nowUs, transport: out.transport, hello });
    }
  }
  return sent;
}

/** Takes every switch since the last call. */
function switchesOf(ladder: Ladder): string[] {
  const texts: string[] = [];
  for (let taken = ladder.takeSwitch(); taken !== null; taken = ladder.takeSwitch()) {
    texts.push(`${taken.from} to ${taken.to}: ${taken.cause}`);
  }
  return texts;
}

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

for (const transport of ["raw", "udp"] as const) {
  const number = TRANSPORTS.indexOf(transport);
  const home = transport === "raw" ? "udp" : "raw";
  test(`Remote sends at most 3 x the octets heard to an unproven ${transport} address`, () => {
    const remote = ladderOf("remote");
    remote.open(0, home);
    remote.attached(0, home);
    remote.open(0, transport);
    let heard = 0;
    let sent = 0;
    for (let number_ = 1; number_ < 200; number_ += 1) {
      const nowUs = number_ * 20 * MS;
      // Whoever replays HELLOs from another address cannot echo what was sent to it.
      remote.receive(nowUs, transport, helloOf({ transport: number, number: number_ }));
      heard += HELLO_OCTETS;
      for (const out of drain(remote, nowUs, nowUs + 19 * MS)) {
        if (out.transport === transport) sent += out.hello.octets;
      }
      assert.ok(sent <= 3 * heard, `${sent} for ${heard}`);
      assert.equal(remote.current, home);
    }
    assert.ok(sent > 0);
  });
}

test("one HELLO from an unproven address brings three of the same length, and no more ever", () => {
  const remote = ladderOf("remote");
  remote.open(0, "raw");
  remote.attached(0, "raw");
  remote.open(0, "udp");
  remote.receive(0, "udp", helloOf({ transport: 1 }));
  const sent = drain(remote, 0, 3600 * SECOND).filter(({ transport }) => transport === "udp");
  assert.equal(sent.length, 3);
  assert.ok(sent.every(({ hello }) => hello.octets === HELLO_OCTETS));
});

test("Remote: a raw address that has changed is not spoken to before it is heard", () => {
  const remote = ladderOf("remote");
  for (const transport of ["raw", "udp"] as const) {
    remote.open(0, transport);
    remote.attached(0, transport);
  }
  drain(remote, 0, SECOND);
  remote.open(2 * SECOND, "raw");
  const used = new Set(drain(remote, 2 * SECOND, 60 * SECOND).map(({ transport }) => transport));
  assert.deepEqual([...used], ["udp"]);
  assert.deepEqual(switchesOf(remote), ["null to raw: attached", "raw to udp: address changed"]);
});

test("Remote: an echo proves the address, an old one does not", () => {
  const remote = ladderOf("remote");
  remote.open(0, "raw");
  remote.attached(0, "raw");
  const first = drain(remote, 0, 0).find(({ transport }) => transport === "raw");
  assert.ok(first !== undefined);
  const echo = (nonce: number, number: number) =>
    helloOf({
      number,
      ask: false,
      seen: [{ highest: 1, bitmap: 0, echo: nonce }, NOTHING, NOTHING],
    });
  // The client has another address now: nothing may carry until it is proven.
  remote.open(SECOND, "raw");
  remote.receive(SECOND, "raw", echo(first.hello.nonce, 1));
  const again = drain(remote, SECOND, SECOND + MS).find(({ transport }) => transport === "raw");
  assert.ok(again !== undefined && again.hello.nonce !== first.hello.nonce);
  assert.equal(remote.current, null);
  const seen = [
    { highest: again.hello.number, bitmap: 0, echo: again.hello.nonce },
    NOTHING,
    NOTHING,
  ];
  remote.receive(SECOND + 50 * MS, "raw", helloOf({ number: 2, seen }));
  drain(remote, SECOND + 50 * MS, SECOND + 50 * MS);
  assert.equal(remote.current, "raw");
  assert.deepEqual(switchesOf(remote), ["null to raw: attached", "null to raw: answered"]);
});

test("Remote: an echo that comes by another transport proves no address", () => {
  const remote = ladderOf("remote");
  for (const transport of ["raw", "udp"] as const) {
    remote.open(0, transport);
    remote.attached(0, transport);
  }
  drain(remote, 0, SECOND);
  // Somebody plays a HELLO of the client's from his own address, and passes on what he is sent.
  remote.open(2 * SECOND, "raw");
  remote.receive(2 * SECOND, "raw", helloOf());
  const sent = drain(remote, 2 * SECOND, 2.2 * SECOND);
  const told = sent.find(({ transport }) => transport === "raw");
  assert.ok(told !== undefined);
  const { number, nonce } = told.hello;
  const seen = [{ highest: number, bitmap: 0, echo: nonce }, NOTHING, NOTHING];
  remote.receive(2.2 * SECOND, "udp", helloOf({ transport: 1, number: 9, seen }));
  const all = [...sent, ...drain(remote, 2.2 * SECOND, 20 * SECOND)];
  const octets = all
    .filter(({ transport }) => transport === "raw")
    .reduce((sum, { hello }) => sum + hello.octets, 0);
  assert.ok(octets <= 3 * HELLO_OCTETS, `${octets} octets went to an address that is not proven`);
  assert.equal(remote.current, "udp");
});

test("Remote: attaching anew by the same transport, as in a rekey, moves nothing", () => {
  const remote = ladderOf("remote");
  for (const transport of ["raw", "udp"] as const) remote.open(0, transport);
  remote.attached(0, "raw");
  drain(remote, 0, 0);
  remote.open(SECOND, "raw");
  remote.attached(SECOND, "raw");
  drain(remote, SECOND, SECOND);
  assert.deepEqual(switchesOf(remote), ["null to raw: attached"]);
  assert.equal(remote.current, "raw");
});

test("Remote never speaks by raw to a client it has not heard by raw", () => {
  const remote = ladderOf("remote");
  remote.open(0, "udp");
  remote.attached(0, "udp");
  remote.open(0, "raw");
  const used = new Set(drain(remote, 0, 600 * SECOND).map(({ transport }) => transport));
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
