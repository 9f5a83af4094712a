/** Packets whose fate is open, lent so that copies of them can go elsewhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../../src/core/arena.ts";
import { Flight } from "../../src/link/flight.ts";

function inFlight(count: number): { arena: Arena; flight: Flight; slots: number[] } {
  const arena = new Arena(64);
  const flight = new Flight(arena);
  const slots = Array.from({ length: count }, () => arena.take());
  for (const slot of slots) {
    flight.record(0, 100, slot);
    arena.give(slot);
  }
  return { arena, flight, slots };
}

const lentBy = (flight: Flight): number[] => {
  const lent: number[] = [];
  for (let slot = flight.lend(); slot >= 0; slot = flight.lend()) lent.push(slot);
  return lent;
};

test("everything in flight is lent once, oldest first, and stays in flight", () => {
  const { flight, slots } = inFlight(4);
  assert.deepEqual(lentBy(flight), slots);
  assert.deepEqual(lentBy(flight), []);
  assert.equal(flight.inFlightBytes, 400);
});

test("what is acknowledged, or waits in an outbox still, is not lent", () => {
  const { arena, flight, slots } = inFlight(3);
  const waiting = arena.take();
  flight.record(0, 100, waiting);
  flight.begin();
  flight.acknowledge(0, 1);
  assert.deepEqual(lentBy(flight), [slots[2]]);
});

test("the borrower is told what became of the original, however late it asks", () => {
  const { arena, flight } = inFlight(8);
  lentBy(flight);
  flight.begin();
  flight.acknowledge(1, 1);
  flight.acknowledge(7, 7);
  flight.detectLoss(5_000, 7, 3, 1_000_000);
  flight.settle(5_000_000, 0);
  assert.equal(flight.fateOf(1), "arrived");
  assert.equal(flight.fateOf(0), "lost");
  assert.equal(flight.fateOf(6), "open");
  // A late answer to what was given up for lost.
  flight.begin();
  flight.acknowledge(0, 0);
  assert.equal(flight.fateOf(0), "arrived");
  assert.equal(arena.freeCount, 64 - 8, "slots are the borrower's");
});

test("a loss of what is lent is not handed out besides", () => {
  const { flight } = inFlight(3);
  lentBy(flight);
  flight.loseAll();
  assert.equal(flight.takeLost(), -1);
});

test("what is given back is handed out when it is lost after all, and can be lent again", () => {
  const { flight, slots } = inFlight(3);
  const lent = lentBy(flight);
  for (const [seq, slot] of lent.entries()) flight.returned(seq, slot);
  assert.deepEqual(lentBy(flight), slots);
  for (const [seq, slot] of lent.entries()) flight.returned(seq, slot);
  flight.loseAll();
  assert.equal(flight.takeLost(), slots[0]);
});

test("entries are forgotten once nobody will ask any more", () => {
  const { flight } = inFlight(2);
  lentBy(flight);
  flight.begin();
  flight.acknowledge(0, 1);
  flight.settle(1, 0);
  for (const seq of [0, 1]) {
    assert.equal(flight.fateOf(seq), "arrived");
    flight.kept(seq);
  }
  flight.settle(1, 0);
  assert.ok(flight.empty);
});
