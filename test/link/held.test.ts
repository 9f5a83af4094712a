/** Packets that a flight holds until their fate is known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import { Flight } from "../../src/link/flight.ts";

/** A flight of `count` held packets whose outbox has given its share already. */
function held(count: number): { arena: Arena; flight: Flight; slots: number[] } {
  const arena = new Arena(1024);
  const flight = new Flight(arena);
  const slots = Array.from({ length: count }, () => arena.take());
  for (const slot of slots) flight.record(0, 100, slot);
  for (const slot of slots) arena.give(slot);
  return { arena, flight, slots };
}

test("a held packet comes home when it is acknowledged, and no sooner", () => {
  const { arena, flight } = held(4);
  assert.equal(arena.freeCount, 1020);
  flight.begin();
  flight.acknowledge(1, 2);
  assert.equal(arena.freeCount, 1022);
});

test("what is lost is handed out once, oldest first", () => {
  const { arena, flight, slots } = held(6);
  flight.begin();
  flight.acknowledge(5, 5);
  flight.detectLoss(0, 5, 3, 1_000_000);
  assert.deepEqual([flight.takeLost(), flight.takeLost(), flight.takeLost()], slots.slice(0, 3));
  assert.equal(flight.takeLost(), -1);
  // Their first copies arrive after all: nothing to give back twice.
  flight.begin();
  flight.acknowledge(0, 5);
  assert.equal(arena.freeCount, 1024 - 3);
});

test("a packet that still stands in an outbox is not sent again from there", () => {
  const arena = new Arena(16);
  const flight = new Flight(arena);
  const slot = arena.take();
  flight.record(0, 100, slot);
  flight.loseAll();
  assert.equal(flight.takeLost(), -1);
  arena.give(slot);
  assert.equal(arena.freeCount, 16);
});

test("whatever happens to a flight, every slot comes home exactly once", () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant("send" as const), count: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ do: fc.constant("ack" as const), from: fc.nat(300), count: fc.nat(60) }),
      fc.record({ do: fc.constant("loss" as const), largest: fc.nat(300) }),
      fc.record({ do: fc.constant("take" as const) }),
      fc.record({ do: fc.constant("cut" as const) }),
      fc.record({ do: fc.constant("lend" as const), count: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ do: fc.constant("decide" as const), keep: fc.boolean() }),
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (course) => {
      const arena = new Arena(4096);
      const flight = new Flight(arena);
      const taken: number[] = [];
      const lent: { seq: number; slot: number }[] = [];
      for (const [nowUs, step] of course.entries()) {
        if (step.do === "send") {
          for (let packet = 0; packet < step.count; packet += 1) {
            const slot = arena.take();
            flight.record(nowUs, 100, slot);
            arena.give(slot);
          }
        } else if (step.do === "ack") {
          flight.begin();
          flight.acknowledge(step.from, step.from + step.count);
          flight.settle(nowUs, 5);
        } else if (step.do === "loss") flight.detectLoss(nowUs, step.largest, 3, 10);
        else if (step.do === "cut") flight.loseAll();
        else if (step.do === "lend") {
          for (let count = 0; count < step.count; count += 1) {
            const slot = flight.lend();
            if (slot >= 0) lent.push({ seq: flight.lentSeq, slot });
          }
        } else if (step.do === "decide") {
          const packet = lent.shift();
          if (packet === undefined) continue;
          if (!step.keep && flight.fateOf(packet.seq) === "open") {
            flight.returned(packet.seq, packet.slot);
            continue;
          }
          flight.kept(packet.seq);
          taken.push(packet.slot);
        } else
          for (let slot = flight.takeLost(); slot >= 0; slot = flight.takeLost()) taken.push(slot);
      }
      assert.equal(new Set(taken).size, taken.length, "no slot twice");
      flight.forget();
      for (const { slot } of lent) taken.push(slot);
      for (const slot of taken) arena.give(slot);
      assert.equal(arena.freeCount, arena.slotCount);
    }),
  );
});
