/** What leaves a bond, over emulated links in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Egress } from "../../src/bond/egress.ts";
import { NewReno } from "../../src/cc/newreno.ts";
import { Arena } from "../../src/core/arena.ts";
import { SECOND } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";
import type { LinkSpec } from "../sim/specs.ts";
import { World } from "../sim/world.ts";
import { slotOf } from "./inner-packets.ts";

const SEED = 7;

const link = (rateMbit: number, delayMs: number, lost = 0): LinkSpec => ({
  up: { rateMbit, delayMs, queueMs: 50, loss: { kind: "random", share: lost } },
  down: { rateMbit, delayMs, queueMs: 50 },
});

test("a lossy link is repaired: the flow comes out whole and in order", () => {
  const world = new World({ seed: SEED, links: [link(20, 10, 0.02), link(20, 15)] });
  const { source, sink } = world.stream({ bytes: 1400, everyUs: 500 });
  world.run(10 * SECOND);
  source.stop();
  world.run(12 * SECOND);
  const lost = world.a.bond.links.reduce((sum, { sender }) => sum + sender.packetsLost, 0);
  assert.ok(lost > 50, `${lost} lost on the way, seed ${SEED}`);
  assert.equal(sink.packets, source.sent, `seed ${SEED}`);
  assert.ok(sink.reordered <= 2, `${sink.reordered} out of order, seed ${SEED}`);
  assert.equal(sink.duplicates, 0);
});

test("a link alone takes order numbers once it loses, and is repaired", () => {
  const world = new World({ seed: SEED, links: [link(20, 10, 0.02)] });
  const { source, sink } = world.stream({ bytes: 1400, everyUs: 1000 });
  world.run(5 * SECOND);
  world.mark();
  const before = source.sent;
  world.run(15 * SECOND);
  source.stop();
  world.run(16 * SECOND);
  assert.ok(world.a.bond.egress.repair.resent > 100, `seed ${SEED}`);
  const missing = source.sent - before - sink.packets;
  assert.ok(Math.abs(missing) < 50, `${missing} missing, seed ${SEED}`);
});

test("realtime packets asked for twice survive what a link loses without waiting for a repair", () => {
  const run = (duplicate: boolean) => {
    const world = new World({ seed: SEED, links: [link(20, 20, 0.05), link(20, 20, 0.05)] });
    world.a.bond.egress.duplicate = duplicate;
    const { sink } = world.stream();
    world.run(20 * SECOND);
    return { sink, copies: world.a.bond.egress.copies.made };
  };
  const single = run(false);
  const double = run(true);
  assert.equal(single.copies, 0);
  assert.ok(double.copies > 900, `${double.copies} copies, seed ${SEED}`);
  assert.equal(double.sink.duplicates, 0);
  const late = ({ sink }: typeof single) => sink.delay.quantileUs(0.99);
  assert.ok(late(single) > 55_000, `${late(single)} us with one, seed ${SEED}`);
  assert.ok(late(double) < 30_000, `${late(double)} us with two, seed ${SEED}`);
});

test("realtime packets avoid a link that loses some, if another is not much farther", () => {
  const world = new World({ seed: SEED, links: [link(20, 20, 0.1), link(20, 22)] });
  const { sink } = world.stream();
  world.run(20 * SECOND);
  assert.ok(sink.delay.quantileUs(0.99) < 30_000, `${sink.delay.quantileUs(0.99)} us`);
});

test("a realtime packet does not wait behind what must be sent again", () => {
  const arena = new Arena(64);
  const controller = new NewReno(1500);
  const link = new Link({ number: 0, name: "l0", arena, controller, mssBytes: 1500 });
  link.attach(0);
  const egress = new Egress(arena, [link]);
  // The window is full, and something lost waits for it.
  for (let packet = 0; packet < 10; packet += 1) link.sender.record(0, 1500, -1);
  const lost = slotOf(arena, {});
  egress.repair.born(0, lost);
  egress.repair.add(lost);
  egress.queue.push(0, slotOf(arena, {}));
  const voice = slotOf(arena, { protocol: 17, trafficClass: 46 << 2, bytes: 200 });
  egress.queue.push(0, voice);
  egress.fill(0);
  assert.deepEqual([...link.outbox.subarray(0, link.outboxCount)], [voice]);
});
