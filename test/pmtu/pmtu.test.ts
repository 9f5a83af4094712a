/** The search for the path MTU: what it finds, how fast, at what cost, and what cannot mislead it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MS, SECOND } from "../../src/core/time.ts";
import { LinkSizes } from "../../src/pmtu/pmtu.ts";
import { PathWorld } from "./path.ts";

function opened(seed: number, rttUs: number, carries = 1500): PathWorld {
  const world = new PathWorld(seed, rttUs);
  world.carries.raw = carries;
  world.carries.udp = carries;
  world.open();
  world.run(3 * SECOND);
  return world;
}

test("a path that carries what the device does is confirmed by a few probes", () => {
  const world = opened(1, 20 * MS);
  assert.equal(world.sizes.largest, 1500);
  assert.deepEqual(world.sizes.sizeOf("raw"), { octets: 1500, state: "confirmed" });
  assert.ok(world.probes <= 12, `${world.probes} probes`);
});

test("every path MTU is found to within 4 octets, never too high, whatever the delay and 5 % of loss", () => {
  const cases = fc.tuple(
    fc.integer(),
    fc.integer({ min: 576, max: 1500 }),
    fc.integer({ min: 1, max: 300 }),
  );
  fc.assert(
    fc.property(cases, ([seed, carries, rttMs]) => {
      const world = new PathWorld(seed, rttMs * MS);
      world.lossShare = 0.05;
      world.carries.raw = carries;
      world.carries.udp = carries;
      world.open();
      world.run(100 * SECOND);
      const { largest } = world.sizes;
      assert.ok(largest <= carries && largest > carries - 4, `found ${largest} of ${carries}`);
    }),
    { numRuns: 60 },
  );
});

for (const [rttMs, sure] of [2, 20, 100, 300].flatMap((ms) => [
  [ms, true] as const,
  [ms, false] as const,
])) {
  const trips = sure ? 1 : 2;
  test(`a path that shrinks is known within ${trips} round trips and 80 ms, RTT ${rttMs} ms`, () => {
    const world = opened(2, rttMs * MS);
    world.carries.raw = 1400;
    world.carries.udp = 1400;
    const sinceUs = world.nowUs;
    assert.ok(world.sizes.doubt(world.nowUs, "raw", sure));
    while (world.sizes.largest === 1500 && world.nowUs < sinceUs + 5 * SECOND) world.run(MS);
    assert.equal(world.sizes.largest, 1400);
    const tookMs = (world.nowUs - sinceUs) / MS;
    assert.ok(tookMs <= trips * rttMs + 80, `${tookMs} ms`);
  });
}

test("a search costs less than 70 kB a transport", () => {
  const world = opened(3, 20 * MS);
  world.carries.raw = 1337;
  world.carries.udp = 1337;
  const before = world.probeOctets;
  world.sizes.doubt(world.nowUs, null, false);
  world.run(2 * SECOND);
  assert.equal(world.sizes.largest, 1336);
  assert.ok(world.probeOctets - before < 2 * 70_000, `${world.probeOctets - before} octets`);
});

test("a path that grows again is noticed by itself, first after 10 s", () => {
  const world = opened(4, 20 * MS, 1400);
  assert.equal(world.sizes.largest, 1400);
  world.carries.raw = 1500;
  world.carries.udp = 1500;
  world.run(9 * SECOND);
  assert.equal(world.sizes.largest, 1500);
});

test("what is longer is tried ever more seldom: after 10 s, 60 s, then every 600 s", () => {
  const world = opened(5, 20 * MS, 1400);
  const before = world.probes;
  world.run(3600 * SECOND);
  const rounds = (world.probes - before) / 60;
  assert.ok(rounds <= 2 + 3600 / 600, `${world.probes - before} probes in an hour`);
});

test("a change of the path is searched at once", () => {
  const world = opened(6, 20 * MS, 1400);
  world.carries.raw = 1500;
  world.carries.udp = 1500;
  world.sizes.pathChanged(world.nowUs);
  world.run(SECOND);
  assert.equal(world.sizes.largest, 1500);
});

test("one transport that carries less does not make the link smaller", () => {
  const world = opened(7, 20 * MS);
  world.carries.raw = 1200;
  world.sizes.doubt(world.nowUs, null, false);
  world.run(SECOND);
  assert.equal(world.sizes.largest, 1500);
  assert.equal(world.sizes.sizeOf("raw").octets, 1200);
});

test("a transport that nothing passes is left out, and asked ever more seldom", () => {
  const world = new PathWorld(8, 20 * MS);
  world.carries.raw = 1400;
  world.carries.udp = 0;
  world.open();
  world.run(3 * SECOND);
  assert.equal(world.sizes.largest, 1400);
  assert.deepEqual(world.sizes.sizeOf("udp"), { octets: null, state: "silent" });
  const before = world.probes;
  world.run(600 * SECOND);
  assert.ok(world.probes - before < 200, `${world.probes - before} probes`);
});

test("an outage changes nothing that was known", () => {
  const world = opened(9, 20 * MS, 1400);
  world.lossShare = 1;
  world.sizes.doubt(world.nowUs, null, false);
  world.run(5 * SECOND);
  assert.equal(world.sizes.largest, 1400);
  world.lossShare = 0;
  world.run(10 * SECOND);
  assert.equal(world.sizes.largest, 1400);
});

test("half of all packets lost does not mislead it for long", () => {
  const world = opened(10, 20 * MS);
  world.lossShare = 0.5;
  for (let doubts = 0; doubts < 5; doubts += 1) {
    world.sizes.doubt(world.nowUs, null, false);
    world.run(SECOND);
  }
  world.lossShare = 0;
  world.run(12 * SECOND);
  assert.equal(world.sizes.largest, 1500);
});

test("doubts that prove wrong cost little: two a second, and nearly all of them six probes", () => {
  const world = opened(11, 50 * MS);
  const before = world.probes;
  for (let ms = 0; ms < 60_000; ms += 10) {
    world.sizes.doubt(world.nowUs, "udp", true);
    world.run(10 * MS);
  }
  const spent = world.probes - before;
  assert.ok(spent <= 2 * 60 * 6 + 6 * 60, `${spent} probes in a minute`);
});

test("a path that shrinks soon after doubts that proved wrong is known as soon as the next doubt", () => {
  const world = opened(12, 20 * MS);
  for (let doubts = 0; doubts < 6; doubts += 1) {
    world.sizes.doubt(world.nowUs, "raw", true);
    world.run(600 * MS);
  }
  world.carries.raw = 1400;
  world.carries.udp = 1400;
  world.sizes.doubt(world.nowUs, "raw", true);
  world.run(2 * 20 * MS + 80 * MS);
  assert.equal(world.sizes.largest, 1400);
});

test("an answer to another round, or to a size that was not sent, is refused", () => {
  const sizes = new LinkSizes(1500);
  sizes.open(0, "raw", 20, true);
  const sent = sizes.poll(0, 20 * MS);
  assert.ok(sent !== null);
  const { search } = sent.probe;
  const answer = { transport: 0, link: 0, search, octets: 1480 };
  assert.equal(sizes.answered({ ...answer, search: search + 1 }), false);
  for (const octets of [0, 1, 1479, 1481, 65_535]) {
    assert.equal(sizes.answered({ ...answer, octets }), false, `${octets} octets`);
  }
  assert.equal(sizes.answered({ ...answer, transport: 1 }), false);
  assert.equal(sizes.answered({ ...answer, transport: 9 }), false);
  assert.equal(sizes.answered(answer), true);
});

test("probes that are shorter than what came before in their round are not answered", () => {
  const sizes = new LinkSizes(1500);
  const probe = { transport: 0, search: 5, octets: 1400 };
  assert.equal(sizes.heard(probe), 1400);
  assert.equal(sizes.heard({ ...probe, octets: 1300 }), 0);
  assert.equal(sizes.heard(probe), 1400);
  assert.equal(sizes.heard({ ...probe, search: 6, octets: 1300 }), 1300);
  assert.equal(sizes.heard({ ...probe, transport: 7 }), 0);
});

test("a peer that has begun anew counts its searches anew, and is answered", () => {
  const sizes = new LinkSizes(1500);
  assert.equal(sizes.heard({ transport: 0, search: 1, octets: 1480 }), 1480);
  sizes.forgetHeard();
  assert.equal(sizes.heard({ transport: 0, search: 1, octets: 556 }), 556);
});
