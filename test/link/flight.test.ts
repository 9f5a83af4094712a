/** What is in flight, acknowledged, lost or lost by mistake, however reports come. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import { Flight } from "../../src/link/flight.ts";

const DELAY = 1000;

function flown(count: number): Flight {
  const flight = new Flight(new Arena(2));
  for (let seq = 0; seq < count; seq += 1) flight.record(seq, 100, -1);
  return flight;
}

test("in flight is what was neither acknowledged nor lost, however reports come", () => {
  const reports = fc.array(fc.tuple(fc.nat(700), fc.nat(50)), { maxLength: 40 });
  fc.assert(
    fc.property(reports, (ranges) => {
      const flight = flown(600);
      const open = new Set(Array.from({ length: 600 }, (_, seq) => seq));
      for (const [from, length] of ranges) {
        flight.begin();
        flight.acknowledge(from, from + length);
        for (let seq = from; seq <= from + length; seq += 1) open.delete(seq);
        flight.settle(0, 0);
      }
      assert.equal(flight.inFlightBytes, 100 * open.size);
      assert.equal(flight.empty, open.size === 0);
    }),
  );
});

test("a packet is lost when three later ones are acknowledged", () => {
  const flight = flown(5);
  flight.begin();
  flight.acknowledge(2, 3);
  flight.detectLoss(10, 3, 3, DELAY);
  assert.equal(flight.change.packets, 1);
  assert.equal(flight.change.largest, 0);
  assert.equal(flight.lossDeadlineUs, 1 + DELAY, "packet 1 is lost when its time is up");
});

test("a packet is lost when its time is up, even with one later acknowledgement", () => {
  const flight = flown(2);
  flight.begin();
  flight.acknowledge(1, 1);
  flight.detectLoss(DELAY - 1, 1, 3, DELAY);
  assert.equal(flight.change.packets, 0);
  flight.detectLoss(DELAY, 1, 3, DELAY);
  assert.equal(flight.change.packets, 1);
  assert.equal(flight.inFlightBytes, 0);
});

test("nothing is lost before something later is acknowledged", () => {
  const flight = flown(5);
  flight.detectLoss(1e9, -1, 3, DELAY);
  assert.equal(flight.change.packets, 0);
});

test("an acknowledgement of a lost packet counts as spurious, and only once", () => {
  const flight = flown(5);
  flight.begin();
  flight.acknowledge(4, 4);
  flight.detectLoss(10, 4, 3, DELAY);
  flight.settle(10, DELAY);
  flight.begin();
  flight.acknowledge(0, 4);
  assert.equal(flight.change.spurious, 2);
  flight.begin();
  flight.acknowledge(0, 4);
  assert.equal(flight.change.spurious, 0);
  assert.equal(flight.inFlightBytes, 0);
});

test("the ring grows as far as its limit and then says that it is full", () => {
  const flight = flown(65_536);
  assert.ok(flight.full);
  assert.equal(flight.inFlightBytes, 65_536 * 100);
  flight.begin();
  flight.acknowledge(0, 0);
  flight.settle(1e9, 0);
  assert.equal(flight.full, false);
});

/** Packets of these lengths, then what is acknowledged, then what that declares lost. */
function longLostAfter(lengths: readonly number[], acked: readonly number[]): number {
  const flight = new Flight(new Arena(2));
  for (const length of lengths) flight.record(0, length, -1);
  flight.begin();
  for (const seq of acked) flight.acknowledge(seq, seq);
  flight.detectLoss(0, Math.max(...acked), 3, DELAY);
  return flight.longLost;
}

test("long packets that are lost in a row are counted, however many short ones arrive", () => {
  assert.equal(longLostAfter([1400, 100, 1400, 100, 1400, 100, 100, 100], [1, 3, 5, 6, 7]), 3);
  assert.equal(longLostAfter([100, 100, 100, 100], [3]), 0, "short ones do not count");
  assert.equal(longLostAfter([1400, 1400, 1400, 1400], [3]), 0, "a later long one has arrived");
});

test("long packets that were lost on another path count no more", () => {
  const flight = new Flight(new Arena(2));
  for (let seq = 0; seq < 4; seq += 1) flight.record(0, 1400, -1);
  flight.loseAll();
  assert.equal(flight.longLost, 4);
  flight.moved();
  assert.equal(flight.longLost, 0);
  flight.record(0, 1400, -1);
  flight.loseAll();
  assert.equal(flight.longLost, 1);
});
