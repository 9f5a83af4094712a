/** Two bonds over emulated links: rates add up, flows keep their order, links die and come back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { QUEUE_DELAY_MAX_US } from "../../src/bond/queue.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { writeUdp } from "../sim/packets.ts";
import type { PipeSpec } from "../sim/pipe.ts";
import type { LinkSpec } from "../sim/specs.ts";
import { World } from "../sim/world.ts";

/** Mbit/s. */
const RATE = 20;

/** 20 Mbit/s, 10 ms each way, 50 ms of queue. */
function dsl(more: Partial<PipeSpec> = {}): LinkSpec {
  return { up: { rateMbit: RATE, delayMs: 10, queueMs: 50, ...more } };
}

const LOSSY = { loss: { kind: "random", share: 0.02 } } as const;

test("one link carries nine tenths of its rate", () => {
  const world = new World({ seed: 1, links: [dsl()] });
  const { sink } = world.flood();
  world.run(10 * SECOND);
  assert.ok(sink.goodputMbit() > 0.9 * RATE, `${sink.goodputMbit()} Mbit/s, seed 1`);
});

test("two equal links carry twice as much, four four times", () => {
  for (const count of [2, 4]) {
    const world = new World({ seed: 2, links: new Array(count).fill(dsl()) });
    const { sink } = world.flood();
    world.run(10 * SECOND);
    const goodput = sink.goodputMbit();
    assert.ok(goodput > 0.9 * count * RATE, `${count} links: ${goodput} Mbit/s, seed 2`);
  }
});

test("nothing arrives twice and nothing that was not sent", () => {
  const world = new World({ seed: 3, links: [dsl(LOSSY), dsl()] });
  const { source, sink } = world.flood();
  world.run(5 * SECOND);
  assert.equal(sink.duplicates, 0, "seed 3");
  assert.ok(sink.packets > 0 && sink.packets <= source.sent, "seed 3");
});

test("a flow comes out in the order in which it went in, whatever the links do", () => {
  const world = new World({ seed: 11, links: [dsl(), dsl({ delayMs: 40 })] });
  const { sink } = world.flood();
  world.run(8 * SECOND);
  assert.ok(sink.packets > 10_000, `${sink.packets} packets, seed 11`);
  // Without hold they are half of all; what is left falls into the overshoot of the first second.
  const late = `${sink.reordered} of ${sink.packets}, seed 11`;
  assert.ok(sink.reordered < 0.002 * sink.packets, late);
});

test("every slot comes home when the traffic ends", () => {
  const world = new World({
    seed: 4,
    links: [dsl({ loss: { kind: "random", share: 0.05 } }), dsl()],
  });
  const { source } = world.flood();
  world.run(3 * SECOND);
  source.stop();
  world.run(40 * SECOND);
  assert.equal(world.arena.freeCount, world.arena.slotCount, "seed 4");
});

test("a packet waits in the queue no longer than its limit", () => {
  const world = new World({ seed: 5, links: [dsl({ rateMbit: 1, queueMs: 100 })] });
  const { source, sink } = world.stream({ bytes: 1400, everyUs: 1 * MS });
  world.run(3 * SECOND);
  assert.ok(sink.packets < source.sent / 2, `${sink.packets} of ${source.sent}, seed 5`);
  // Behind the queue: the path's delay and queue, two packets' time.
  const limitUs = QUEUE_DELAY_MAX_US + (10 + 100 + 24) * MS;
  assert.ok(sink.delay.maxUs < limitUs, `${sink.delay.maxUs} us, seed 5`);
});

test("a link that is silently cut is out within a second and the other carries on", () => {
  const world = new World({ seed: 6, links: [dsl(), dsl()] });
  const { sink } = world.flood();
  world.run(3 * SECOND);
  world.cut(0);
  world.run(4 * SECOND);
  assert.equal(world.a.bond.link(0)?.up, false, "seed 6");
  world.mark();
  world.run(7 * SECOND);
  assert.ok(sink.goodputMbit() > 0.85 * RATE, `${sink.goodputMbit()} Mbit/s, seed 6`);
});

test("a link whose way back alone is cut goes on carrying: feedback takes the other", () => {
  const world = new World({ seed: 6, links: [dsl(), dsl()] });
  const { sink } = world.flood();
  world.run(3 * SECOND);
  world.cut(0, "down");
  world.run(6 * SECOND);
  assert.equal(world.a.bond.link(0)?.up, true, "seed 6");
  assert.equal(world.b.bond.link(0)?.up, false, "seed 6");
  world.run(10 * SECOND);
  world.mark();
  world.run(13 * SECOND);
  assert.ok(sink.goodputMbit() > 1.7 * RATE, `${sink.goodputMbit()} Mbit/s, seed 6`);
});

test("a link that comes back is used again by itself", () => {
  const world = new World({ seed: 7, links: [dsl(), dsl()] });
  const { sink } = world.flood();
  world.run(3 * SECOND);
  world.cut(1);
  world.run(8 * SECOND);
  assert.equal(world.a.bond.liveCount, 1, "seed 7");
  world.restore(1);
  world.run(12 * SECOND);
  assert.equal(world.a.bond.liveCount, 2, "seed 7");
  world.mark();
  world.run(15 * SECOND);
  assert.ok(sink.goodputMbit() > 1.7 * RATE, `${sink.goodputMbit()} Mbit/s, seed 7`);
});

test("an idle bond stays up and costs little", () => {
  const world = new World({ seed: 8, links: [dsl(), dsl()] });
  world.run(120 * SECOND);
  assert.equal(world.a.bond.liveCount, 2, "seed 8");
  const probes = world.a.bond.links.reduce((sum, { counters }) => sum + counters.probesSent, 0);
  // Each link every 0.8 s: within a second its silence is known.
  assert.ok(probes > 280 && probes < 320, `${probes} probes in two minutes, seed 8`);
});

test("order fields are written only while more than one link is live", () => {
  const world = new World({ seed: 9, links: [dsl(), dsl()] });
  const { arena, a } = world;
  const added = () => {
    const slot = arena.take();
    writeUdp(arena, slot, 1400, world.flow("a", 0), 0, world.nowUs);
    a.bond.enqueue(world.nowUs, slot);
    a.bond.pull(world.nowUs);
    const link = a.bond.links.find(({ outboxCount }) => outboxCount > 0);
    assert.ok(link !== undefined);
    return (arena.length[link.outbox[0] as number] as number) - 1400;
  };
  assert.equal(added(), 13);
  a.kick();
  world.run(100 * MS);
  a.bond.link(1)?.detach(world.nowUs);
  assert.equal(added(), 8);
});

test("the same seed gives the same run, another seed another", () => {
  const run = (seed: number) => {
    const world = new World({ seed, links: [dsl(LOSSY), dsl()] });
    world.flood();
    world.run(2 * SECOND);
    return world.hash;
  };
  assert.equal(run(10), run(10));
  assert.notEqual(run(10), run(11));
});
