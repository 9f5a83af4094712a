/** What a bond does with the packets of a link that dies, and with packets that are too long for one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import type { Link } from "../../src/link/link.ts";
import { TamperedWay } from "../sim/faults/tampered-way.ts";
import type { LinkSpec } from "../sim/specs.ts";
import { World } from "../sim/world.ts";

const SEED = 5;
const way = (delayMs = 10): LinkSpec => ({ up: { rateMbit: 50, delayMs, queueMs: 60 } });

function linkOf(world: World, number: number): Link {
  const link = world.a.bond.link(number);
  assert.ok(link !== undefined);
  return link;
}

test("what a dead link had under way comes out of the other, once, in order and within 100 ms", () => {
  for (const cutMs of [4000, 4003, 4007, 4011]) {
    const world = new World({ seed: SEED, links: [way(), way()] });
    const { source, sink } = world.stream({ bytes: 1400, everyUs: 300 });
    world.run(cutMs * MS);
    world.cut(0);
    sink.delay.reset();
    world.run((cutMs + 1000) * MS);
    source.stop();
    world.run((cutMs + 2000) * MS);
    assert.ok(world.a.bond.egress.repair.lent > 10, `cut at ${cutMs} ms`);
    assert.equal(sink.packets, source.sent, `cut at ${cutMs} ms`);
    assert.equal(sink.duplicates + sink.reordered, 0, `cut at ${cutMs} ms`);
    assert.ok(sink.delay.maxUs < 110 * MS, `${sink.delay.maxUs} us, cut at ${cutMs} ms`);
  }
});

test("a pause of a link costs neither its window nor a packet", () => {
  const world = new World({ seed: SEED, links: [way(), way()] });
  const { source, sink } = world.stream({ bytes: 1400, everyUs: 300 });
  world.run(4 * SECOND);
  const link = linkOf(world, 0);
  const before = link.sender.controller.cwndBytes;
  world.cut(0);
  world.run(4 * SECOND + 120 * MS);
  assert.equal(link.life.tag, "suspect");
  world.restore(0);
  world.run(4 * SECOND + 200 * MS);
  assert.equal(link.life.tag, "up");
  assert.ok(link.sender.controller.cwndBytes >= before, `${link.sender.controller.cwndBytes}`);
  source.stop();
  world.run(6 * SECOND);
  assert.equal(sink.packets, source.sent);
  assert.equal(sink.duplicates, 0);
});

test("copies that have not left when the link answers again stay where they are", () => {
  const world = new World({ seed: SEED, links: [way(), { up: { rateMbit: 1, delayMs: 10 } }] });
  const { source, sink } = world.stream({ bytes: 1400, everyUs: 400 });
  world.run(4 * SECOND);
  // The reports alone are late; the packets arrive.
  world.cut(0, "down");
  world.run(4 * SECOND + 60 * MS);
  const { repair } = world.a.bond.egress;
  assert.ok(repair.lent > 20 && repair.packets > 0, `${repair.lent} lent`);
  world.restore(0);
  world.run(4 * SECOND + 120 * MS);
  assert.equal(linkOf(world, 0).life.tag, "up");
  assert.ok(repair.spared > 10, `${repair.spared} of ${repair.lent} spared`);
  source.stop();
  world.run(8 * SECOND);
  assert.equal(sink.duplicates, 0);
});

test("with one link alone nothing is copied, and it goes on while it is suspect", () => {
  const world = new World({ seed: SEED, links: [way()] });
  const { sink } = world.flood();
  world.run(4 * SECOND);
  world.cut(0, "down");
  world.run(4 * SECOND + 45 * MS);
  const link = linkOf(world, 0);
  assert.equal(link.life.tag, "suspect");
  assert.ok(link.carries);
  world.restore(0);
  world.run(5 * SECOND);
  assert.equal(world.a.bond.egress.repair.lent, 0);
  world.mark();
  world.run(7 * SECOND);
  assert.ok(sink.goodputMbit() > 0.9 * 50, `${sink.goodputMbit()}`);
});

test("what is lost with a link that becomes useless goes out again at once", () => {
  const world = new World({ seed: SEED, links: [way(), way()] });
  const { source, sink } = world.stream({ bytes: 1400, everyUs: 300 });
  world.run(4 * SECOND);
  world.cut(0);
  linkOf(world, 0).unusable(world.nowUs);
  world.b.bond.link(0)?.unusable(world.nowUs);
  world.a.kick();
  world.b.kick();
  sink.delay.reset();
  world.run(5 * SECOND);
  source.stop();
  world.run(6 * SECOND);
  assert.equal(sink.packets, source.sent);
  assert.equal(sink.duplicates, 0);
  assert.ok(sink.delay.maxUs < 80 * MS, `${sink.delay.maxUs} us`);
});

test("a packet goes only where it fits, copies too, and is dropped and counted where it fits no link", () => {
  const world = new World({ seed: SEED, links: [way(), way(20)] });
  linkOf(world, 0).maxInnerOctets = 1200;
  const long = world.stream({ bytes: 1400, everyUs: 2 * MS });
  const short = world.stream({ bytes: 1200, everyUs: 2 * MS });
  const thin = world.stream({ bytes: 1300, everyUs: 20 * MS });
  world.run(3 * SECOND);
  const { egress } = world.a.bond;
  assert.equal(egress.tooBig, 0);
  assert.ok((world.paths[1]?.up.counts.arrived ?? 0) > 1500);
  // The one that takes them dies: nothing that is too long may stand in the way of what is not.
  world.cut(1);
  world.run(5 * SECOND);
  assert.ok(egress.tooBig > 900, `${egress.tooBig}`);
  for (const { source } of [long, short, thin]) source.stop();
  world.run(6 * SECOND);
  assert.equal(short.sink.packets, short.source.sent);
  const missing = long.source.sent + thin.source.sent - long.sink.packets - thin.sink.packets;
  assert.ok(missing <= egress.tooBig + egress.repair.abandoned, `${missing} missing`);
  assert.equal(egress.queue.packets, 0);
});

test("a link that loses 30 % one way carries 95 % of what it did the other way", () => {
  for (const lossy of ["up", "down"] as const) {
    const ways: { up?: TamperedWay; down?: TamperedWay } = {};
    const rate = { rateMbit: 8, delayMs: 10 };
    const world = new World({
      seed: SEED,
      links: [
        { up: rate, down: rate },
        { up: rate, down: rate },
      ],
      tamper: (receiver, { arena, events, random, path, way }) => {
        const end = new TamperedWay(arena, events, random, receiver);
        if (path === 0) ways[way] = end;
        return end;
      },
    });
    world.flood();
    world.flood({ from: "b" });
    const other = lossy === "up" ? "down" : "up";
    const passed = (fromS: number, toS: number): number =>
      world.paths[0]?.[other].passed.sum(fromS * SECOND, toS * SECOND) ?? 0;
    world.run(10 * SECOND);
    const fault = { kind: "loss", link: 0, way: lossy, share: 0.3, fromMs: 0, toMs: 0 } as const;
    ways[lossy]?.begin(fault);
    world.run(16 * SECOND);
    const share = passed(11, 16) / passed(5, 10);
    assert.ok(share >= 0.95, `${share} with losses ${lossy}`);
    assert.ok((ways[lossy]?.stopped ?? 0) > 100, "something was lost");
  }
});

test("what a link loses because it is long goes again by another one, even a busy one", () => {
  const ways: TamperedWay[] = [];
  const world = new World({
    seed: SEED,
    links: [{ up: { rateMbit: 2, delayMs: 5 } }, { up: { rateMbit: 1, delayMs: 15 } }],
    tamper: (receiver, { arena, events, random, path, way }) => {
      const end = new TamperedWay(arena, events, random, receiver);
      if (way === "up") ways[path] = end;
      return end;
    },
  });
  const { source, sink } = world.stream({ bytes: 1400, everyUs: 8 * MS });
  const short = world.stream({ bytes: 300, everyUs: 10 * MS });
  world.run(2 * SECOND);
  ways[0]?.begin({ ...{ kind: "mtu", link: 0, way: "up", octets: 1280 }, fromMs: 0, toMs: 0 });
  world.run(5 * SECOND);
  source.stop();
  short.source.stop();
  world.run(6 * SECOND);
  const { egress } = world.a.bond;
  assert.ok(
    linkOf(world, 0).sender.packetsLost > 50,
    `${linkOf(world, 0).sender.packetsLost} lost`,
  );
  assert.equal(egress.repair.abandoned, 0);
  assert.equal(short.sink.packets, short.source.sent);
  assert.equal(source.sent - sink.packets, egress.queue.dropped + egress.queue.expired);
});

test("a link that pauses each second does not keep drains away from the others", () => {
  const world = new World({ seed: SEED, links: [way(), way()] });
  world.flood();
  const { controller } = linkOf(world, 1).sender;
  let drains = 0;
  for (let atMs = 2_000; atMs < 12_000; atMs += 10) {
    if (atMs % 1_000 === 0) world.cut(0);
    if (atMs % 1_000 === 120) world.restore(0);
    const before = controller.drain;
    world.run(atMs * MS);
    if (atMs > 4_000 && before !== "running" && controller.drain === "running") drains += 1;
  }
  assert.ok(linkOf(world, 0).liveness.doubts >= 9, `${linkOf(world, 0).liveness.doubts} doubts`);
  assert.ok(drains > 0);
});

test("a link that comes back from an absence with a fifth of its rate has no standing queue a second later", () => {
  const slower: LinkSpec = {
    up: {
      rateMbit: [
        [0, 50],
        [4_100, 10],
      ],
      delayMs: 10,
      queueMs: 100,
    },
  };
  const world = new World({ seed: SEED, links: [slower, { up: { rateMbit: 20, delayMs: 10 } }] });
  world.flood();
  world.run(4 * SECOND);
  world.cut(0);
  world.run(4_300 * MS);
  world.restore(0);
  for (let atMs = 5_300; atMs < 7_000; atMs += 100) {
    world.run(atMs * MS);
    const { latestUs } = linkOf(world, 0).rtt;
    assert.ok(latestUs < 55 * MS, `${latestUs} us at ${atMs} ms`);
  }
});
