/**
 * The resequencer against a naive model: a list for each flow, released in order as far as it is
 * complete. Links have unlike delays and keep their order; some packets are lost, and of those some come
 * again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OrderStamp } from "../../src/bond/order.ts";
import { Resequencer } from "../../src/bond/resequencer.ts";
import { Arena } from "../../src/core/arena.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, type TimeUs } from "../../src/core/time.ts";

interface Packet {
  readonly number: number;
  readonly flow: number;
  readonly order: number;
  readonly prev: number;
}

interface Arrival {
  readonly atUs: TimeUs;
  readonly link: number;
  readonly packet: Packet;
}

interface Course {
  readonly seed: number;
  readonly packets: number;
  readonly flows: number;
  readonly links: number;
  /** Shares of the packets that are lost, and of those, of the ones that come again. */
  readonly loss: number;
  readonly repaired: number;
}

const SPREAD_US = 40 * MS;
const REPAIR_US = 60 * MS;

/** What arrives, in the order of arrival. */
function arrivalsOf(course: Course): { sent: Packet[]; arrivals: Arrival[] } {
  const random = new SeededRandom(course.seed);
  const pick = (count: number) => Math.floor(random.next() * count);
  const stamp = new OrderStamp();
  const delays = Array.from({ length: course.links }, () => pick(SPREAD_US));
  const sent: Packet[] = [];
  const arrivals: Arrival[] = [];
  let nowUs = 0;
  for (let number = 0; number < course.packets; number += 1) {
    const flow = pick(course.flows);
    stamp.next(flow);
    const packet = { number, flow, order: stamp.order, prev: stamp.prev };
    sent.push(packet);
    nowUs += pick(MS);
    const link = pick(course.links);
    const atUs = nowUs + (delays[link] as number);
    // The first packet opens the window: it is neither lost nor overtaken.
    if (number === 0) arrivals.push({ atUs: 0, link, packet });
    else if (random.next() >= course.loss) arrivals.push({ atUs, link, packet });
    else if (random.next() < course.repaired) {
      arrivals.push({ atUs: atUs + pick(REPAIR_US), link: pick(course.links), packet });
    }
  }
  arrivals.sort((a, b) => a.atUs - b.atUs || a.packet.number - b.packet.number);
  return { sent, arrivals };
}

/** Runs it as a portal would: a batch, settle, take what is ready; then time alone. */
function released(arrivals: readonly Arrival[], holdUs: number): number[] {
  const arena = new Arena(16_384);
  const arrived = new Resequencer(arena);
  arrived.expect(holdUs, 2 * REPAIR_US);
  const numbers = new Map<number, number>();
  const out: number[] = [];
  const take = () => {
    for (const slot of arrived.ready.subarray(0, arrived.readyCount)) {
      out.push(numbers.get(slot) as number);
      arena.give(slot);
    }
    arrived.readyCount = 0;
  };
  for (const { atUs, link, packet } of arrivals) {
    for (let due = arrived.deadlineUs(); due <= atUs; due = arrived.deadlineUs()) {
      arrived.settle(due);
      take();
    }
    const slot = arena.take();
    numbers.set(slot, packet.number);
    arrived.take(atUs, link, slot, packet.order, packet.prev);
    arrived.settle(atUs);
    take();
  }
  while (arrived.heldCount > 0) {
    arrived.settle(arrived.deadlineUs());
    take();
  }
  assert.equal(arena.freeCount, arena.slotCount, "every slot is home");
  return out;
}

const courses = fc.record({
  ...{ seed: fc.integer(), packets: fc.integer({ min: 1, max: 400 }) },
  ...{ flows: fc.integer({ min: 1, max: 6 }), links: fc.integer({ min: 1, max: 4 }) },
  ...{ loss: fc.double({ min: 0, max: 0.3, noNaN: true }), repaired: fc.constant(1) },
});

const ofFlow = (numbers: readonly number[], sent: readonly Packet[], flow: number) =>
  numbers.filter((number) => sent[number]?.flow === flow);

test("with every loss repaired in time, each flow comes out whole and in order", () => {
  fc.assert(
    fc.property(courses, (course) => {
      const { sent, arrivals } = arrivalsOf(course);
      const out = released(arrivals, SPREAD_US + REPAIR_US);
      for (let flow = 0; flow < course.flows; flow += 1) {
        const expected = sent.filter((packet) => packet.flow === flow).map(({ number }) => number);
        assert.deepEqual(ofFlow(out, sent, flow), expected, `flow ${flow}`);
      }
    }),
  );
});

test("with losses for good, what arrives comes out once, and in order within each flow", () => {
  fc.assert(
    fc.property(courses, fc.double({ min: 0, max: 1, noNaN: true }), (course, repaired) => {
      const { sent, arrivals } = arrivalsOf({ ...course, repaired });
      const out = released(arrivals, SPREAD_US + REPAIR_US);
      const came = arrivals.map(({ packet }) => packet.number).sort((a, b) => a - b);
      assert.deepEqual(
        [...out].sort((a, b) => a - b),
        came,
      );
      for (let flow = 0; flow < course.flows; flow += 1) {
        const own = ofFlow(out, sent, flow);
        assert.deepEqual(
          own,
          [...own].sort((a, b) => a - b),
          `flow ${flow}`,
        );
      }
    }),
  );
});

test("a sender that promises too little gets disorder, not loss", () => {
  fc.assert(
    fc.property(courses, (course) => {
      const { arrivals } = arrivalsOf(course);
      const out = released(arrivals, 0);
      assert.equal(new Set(out).size, out.length);
      assert.equal(out.length, arrivals.length);
    }),
  );
});
