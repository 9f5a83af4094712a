/** Packets of several links leave in the order of their flow, wait for no other flow, and for no hole longer than pays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HELD_MAX, Resequencer } from "../../src/bond/resequencer.ts";
import { Arena } from "../../src/core/arena.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS } from "../../src/core/time.ts";

const LIMIT = 50 * MS;
const FIRST = 1000;

interface Sent {
  readonly order: number;
  readonly prev: number;
  readonly flow: number;
}

/** A resequencer, and which packet lies in which slot. */
class Rig {
  readonly arena = new Arena(16_384);
  readonly arrived = new Resequencer(this.arena);
  readonly #orders = new Map<number, number>();

  constructor() {
    this.arrived.expect(LIMIT, 0);
  }

  take(nowUs: number, link: number, order: number, prev: number): void {
    const slot = this.arena.take();
    this.#orders.set(slot, order);
    this.arrived.take(nowUs, link, slot, order % 2 ** 24, prev);
  }

  /** Order numbers that are ready, in order of release; their slots go home. */
  ready(): number[] {
    const { arrived, arena } = this;
    const slots = [...arrived.ready.subarray(0, arrived.readyCount)];
    arrived.readyCount = 0;
    for (const slot of slots) arena.give(slot);
    return slots.map((slot) => this.#orders.get(slot) as number);
  }
}

/** `count` packets of `flows` flows, as a sender stamps them. */
function stamped(flowsOf: readonly number[]): Sent[] {
  const last = new Map<number, number>();
  return flowsOf.map((flow, index) => {
    const order = FIRST + index;
    const before = last.get(flow);
    last.set(flow, order);
    return { order, flow, prev: before === undefined ? 0 : order - before };
  });
}

test("packets in order pass at once", () => {
  const rig = new Rig();
  for (const { order, prev } of stamped([0, 0, 0, 0])) {
    rig.take(0, 0, order, prev);
    assert.deepEqual(rig.ready(), [order]);
  }
});

test("a packet waits for the one before it in its flow, and for no other flow", () => {
  const rig = new Rig();
  rig.take(0, 0, FIRST, 0);
  rig.take(0, 1, FIRST + 2, 2);
  rig.take(0, 1, FIRST + 3, 2);
  rig.take(0, 1, FIRST + 4, 2);
  assert.deepEqual(rig.ready(), [FIRST, FIRST + 2, FIRST + 4]);
  rig.take(0, 0, FIRST + 1, 0);
  assert.deepEqual(rig.ready(), [FIRST + 1, FIRST + 3]);
});

test("a hole that every link has passed is lost after 2 ms, others after the limit", () => {
  const rig = new Rig();
  rig.take(0, 0, FIRST, 0);
  rig.take(0, 0, FIRST + 2, 1);
  rig.arrived.settle(3 * MS);
  assert.deepEqual(rig.ready(), [FIRST, FIRST + 2], "one link alone has passed it");

  rig.take(4 * MS, 1, FIRST + 1, 1);
  assert.deepEqual(rig.ready(), [FIRST + 1], "late, and released at once");

  rig.take(5 * MS, 0, FIRST + 5, 2);
  rig.arrived.settle(8 * MS);
  assert.deepEqual(rig.ready(), [], "link 1 may still bring it");
  rig.arrived.settle(5 * MS + LIMIT);
  assert.deepEqual(rig.ready(), [FIRST + 5]);
  assert.equal(rig.arrived.lostByTime, 1);
});

test("a hole is waited for as long as a second copy may take", () => {
  const rig = new Rig();
  const repair = 30 * MS;
  rig.arrived.expect(LIMIT, repair);
  rig.take(0, 0, FIRST, 0);
  rig.take(0, 1, FIRST + 2, 1);
  rig.take(0, 0, FIRST + 3, 0);
  rig.ready();
  rig.arrived.settle(MS);
  rig.arrived.settle(repair);
  assert.deepEqual(rig.ready(), [], "both links have passed it, its copy is under way");
  rig.take(repair, 0, FIRST + 1, 1);
  assert.deepEqual(rig.ready(), [FIRST + 1, FIRST + 2]);

  rig.take(40 * MS, 0, FIRST + 5, 1);
  rig.take(40 * MS, 1, FIRST + 6, 0);
  rig.ready();
  rig.arrived.settle(40 * MS);
  rig.arrived.settle(39 * MS + repair);
  assert.deepEqual(rig.ready(), []);
  rig.arrived.settle(40 * MS + repair);
  assert.deepEqual(rig.ready(), [FIRST + 5]);
});

test("a link that is alive but has carried nothing lately is waited for by time", () => {
  const rig = new Rig();
  rig.take(0, 0, FIRST, 0);
  rig.take(0, 1, FIRST + 1, 0);
  rig.arrived.alive(900 * MS, 1);
  rig.take(1_000 * MS, 0, FIRST + 3, 1);
  rig.ready();
  rig.arrived.settle(1_010 * MS);
  assert.deepEqual(rig.ready(), [], "the packet may be on link 1");
  rig.take(1_030 * MS, 1, FIRST + 2, 1);
  assert.deepEqual(rig.ready(), [FIRST + 2, FIRST + 3]);
});

test("the peer's word that it has sent so far counts as progress of a quiet link", () => {
  const rig = new Rig();
  rig.take(0, 0, FIRST, 0);
  rig.take(0, 1, FIRST + 1, 1);
  rig.take(MS, 0, FIRST + 3, 1);
  rig.arrived.settle(4 * MS);
  assert.deepEqual(rig.ready(), [FIRST, FIRST + 1]);
  rig.arrived.heard(4 * MS, 1, FIRST + 3);
  rig.arrived.settle(4 * MS);
  assert.deepEqual(rig.ready(), [FIRST + 3]);
});

test("a packet that comes twice goes out once", () => {
  const rig = new Rig();
  rig.take(0, 0, FIRST, 0);
  rig.take(0, 1, FIRST, 0);
  rig.take(0, 0, FIRST + 2, 1);
  rig.take(0, 1, FIRST + 2, 1);
  assert.equal(rig.arrived.duplicates, 2);
  rig.arrived.flush();
  assert.deepEqual(rig.ready(), [FIRST, FIRST + 2]);
  assert.equal(rig.arena.freeCount, rig.arena.slotCount);
});

test("a packet older than the window harms no current one", () => {
  const rig = new Rig();
  rig.take(0, 0, FIRST + 20_000, 0);
  rig.take(0, 0, FIRST + 20_002, 1);
  rig.take(0, 1, FIRST + 20_001 - 16_384, 0);
  assert.deepEqual(rig.ready(), [FIRST + 20_000, FIRST + 20_001 - 16_384]);
  rig.take(0, 1, FIRST + 20_001, 1);
  assert.deepEqual(rig.ready(), [FIRST + 20_001, FIRST + 20_002]);
  assert.equal(rig.arrived.duplicates, 0);
});

test("numbers go on over the wrap of 24 bits", () => {
  const rig = new Rig();
  const start = 2 ** 24 - 3;
  for (let order = start; order < start + 6; order += 1)
    rig.take(0, 0, order, order === start ? 0 : 1);
  assert.deepEqual(
    rig.ready(),
    [0, 1, 2, 3, 4, 5].map((index) => start + index),
  );
});

test("whatever the links do, every packet comes out once, and in order if none is overdue", () => {
  const packets = fc.array(fc.nat(2), { minLength: 1, maxLength: 60 });
  const routes = fc.array(fc.tuple(fc.nat(2), fc.boolean(), fc.nat(4)), {
    minLength: 60,
    maxLength: 60,
  });
  fc.assert(
    fc.property(packets, routes, (flows, fates) => {
      const rig = new Rig();
      const sent = stamped(flows);
      const out: number[] = [];
      const arrivals = sent
        .map((packet, index) => ({
          packet,
          fate: fates[index] as [number, boolean, number],
          index,
        }))
        .sort((a, b) => a.index + 5 * a.fate[0] - (b.index + 5 * b.fate[0]) || a.index - b.index);
      for (const { packet, fate } of arrivals) {
        rig.take(0, fate[0], packet.order, packet.prev);
        if (fate[1]) rig.take(0, (fate[0] + 1) % 3, packet.order, packet.prev);
        out.push(...rig.ready());
      }
      rig.arrived.flush();
      out.push(...rig.ready());
      assert.deepEqual(
        [...out].sort((a, b) => a - b),
        sent.map(({ order }) => order),
      );
      // The first packet to arrive opens the window; those before it are late by definition.
      const opened = arrivals[0]?.packet.order ?? 0;
      for (const flow of [0, 1, 2]) {
        const own = out.filter((order) => flows[order - FIRST] === flow && order >= opened);
        assert.deepEqual(
          own,
          [...own].sort((a, b) => a - b),
          `flow ${flow}`,
        );
      }
      assert.equal(rig.arena.freeCount, rig.arena.slotCount);
    }),
  );
});

test("a peer that lies about order and predecessors cannot make it hold more than its limit", () => {
  const rig = new Rig();
  const random = new SeededRandom(7);
  let out = 0;
  for (let batch = 0; batch < 400; batch += 1) {
    for (let packet = 0; packet < 256; packet += 1) {
      const order = batch * 300 + (random.uint32() % 40_000);
      rig.take(batch * 100, random.uint32() % 16, order, random.uint32() % 0xffff);
    }
    assert.ok(rig.arrived.heldCount <= HELD_MAX);
    out += rig.ready().length;
    rig.arrived.settle(batch * 100);
    out += rig.ready().length;
  }
  rig.arrived.flush();
  out += rig.ready().length;
  assert.equal(out + rig.arrived.duplicates, 400 * 256);
  assert.equal(rig.arena.freeCount, rig.arena.slotCount);
});
