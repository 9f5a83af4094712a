import assert from "node:assert/strict";
import { test } from "node:test";
import { QUEUE_DELAY_MAX_US } from "../../src/bond/queue.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { DSL, goodput, MBIT, Pair } from "./pair.ts";

const BYTES = 1400;

/** Offers more than the links can carry. */
function flood(pair: Pair, mbit: number): () => void {
  const packetsPerTick = (mbit * MBIT * MS) / BYTES;
  let due = 0;
  return () => {
    for (due += packetsPerTick; due >= 1; due -= 1) pair.a.offer(pair.nowUs, BYTES);
  };
}

/** Octets a second that B gets from now on. */
function rateUntil(pair: Pair, untilUs: number, feed: () => void): number {
  const before = pair.b.delivered.length;
  const seconds = (untilUs - pair.nowUs) / SECOND;
  pair.run(untilUs, feed);
  return ((pair.b.delivered.length - before) * BYTES) / seconds;
}

test("one link carries nine tenths of its rate", () => {
  const pair = new Pair(1, [DSL]);
  pair.run(10 * SECOND, flood(pair, 60));
  assert.ok(goodput(pair, BYTES) > 0.9 * 20 * MBIT * SECOND, `${goodput(pair, BYTES)}`);
});

test("two equal links carry twice as much, four four times", () => {
  for (const count of [2, 4]) {
    const pair = new Pair(2, new Array(count).fill(DSL));
    pair.run(10 * SECOND, flood(pair, 40 * count));
    assert.ok(goodput(pair, BYTES) > 0.9 * count * 20 * MBIT * SECOND, `${count} links`);
  }
});

test("nothing arrives twice and nothing that was not sent", () => {
  const pair = new Pair(3, [{ ...DSL, loss: 0.02 }, DSL]);
  pair.run(5 * SECOND, flood(pair, 50));
  const { delivered } = pair.b;
  assert.equal(new Set(delivered).size, delivered.length);
  assert.ok(delivered.every((number) => number < pair.a.offered));
});

test("a flow comes out in the order in which it went in, whatever the links do", () => {
  const slow = { ...DSL, delayUs: 40 * MS };
  const pair = new Pair(11, [DSL, slow]);
  pair.run(8 * SECOND, flood(pair, 50));
  const { delivered } = pair.b;
  const late = delivered.filter((number, index) => number < (delivered[index - 1] ?? 0));
  assert.ok(delivered.length > 10_000);
  // Without hold they are half of all; what is left falls into the overshoot of the first second.
  assert.ok(late.length < 0.002 * delivered.length, `${late.length} of ${delivered.length}`);
});

test("every slot comes home when the traffic ends", () => {
  const pair = new Pair(4, [{ ...DSL, loss: 0.05 }, DSL]);
  pair.run(3 * SECOND, flood(pair, 60));
  pair.run(10 * SECOND);
  for (const { arena } of [pair.a, pair.b]) assert.equal(arena.freeCount, arena.slotCount);
});

test("a packet waits in the queue no longer than its limit", () => {
  const pair = new Pair(5, [{ ...DSL, rate: 1 * MBIT }]);
  pair.run(3 * SECOND, flood(pair, 20));
  const { expired, overflowed } = pair.a.bond.egress.queue;
  assert.ok(expired + overflowed > 0);
  assert.ok(pair.a.bond.egress.queue.bytes < 20 * MBIT * (QUEUE_DELAY_MAX_US + 10 * MS));
});

test("a link that is silently cut is out within a second and the other carries on", () => {
  const pair = new Pair(6, [DSL, DSL]);
  const feed = flood(pair, 60);
  pair.run(3 * SECOND, feed);
  pair.cut(0, "up");
  pair.cut(0, "down");
  pair.run(4 * SECOND, feed);
  assert.equal(pair.a.bond.link(0)?.up, false);
  assert.ok(rateUntil(pair, 7 * SECOND, feed) > 0.85 * 20 * MBIT * SECOND);
});

test("a link whose way back alone is cut goes on carrying: feedback takes the other", () => {
  const pair = new Pair(6, [DSL, DSL]);
  const feed = flood(pair, 60);
  pair.run(3 * SECOND, feed);
  pair.cut(0, "down");
  pair.run(6 * SECOND, feed);
  assert.equal(pair.a.bond.link(0)?.up, true);
  assert.equal(pair.b.bond.link(0)?.up, false);
  assert.ok(rateUntil(pair, 9 * SECOND, feed) > 1.7 * 20 * MBIT * SECOND);
});

test("a link that comes back is used again by itself", () => {
  const pair = new Pair(7, [DSL, DSL]);
  const feed = flood(pair, 60);
  pair.run(3 * SECOND, feed);
  pair.cut(1, "up");
  pair.cut(1, "down");
  pair.run(8 * SECOND, feed);
  assert.equal(pair.a.bond.liveCount, 1);
  pair.restore(1);
  pair.run(12 * SECOND, feed);
  assert.equal(pair.a.bond.liveCount, 2);
  assert.ok(rateUntil(pair, 15 * SECOND, feed) > 1.7 * 20 * MBIT * SECOND);
});

test("an idle bond stays up and costs little", () => {
  const pair = new Pair(8, [DSL, DSL]);
  pair.run(120 * SECOND);
  assert.equal(pair.a.bond.liveCount, 2);
  const probes = pair.a.bond.links.reduce((sum, { counters }) => sum + counters.probesSent, 0);
  assert.ok(probes > 0 && probes < 40, `${probes} probes in two minutes`);
});

test("order fields are written only while more than one link is live", () => {
  const pair = new Pair(9, [DSL, DSL]);
  const outbox = () => {
    pair.a.offer(pair.nowUs, BYTES);
    pair.a.bond.pull(pair.nowUs);
    const link = pair.a.bond.links.find(({ outboxCount }) => outboxCount > 0);
    assert.ok(link !== undefined);
    return pair.a.arena.length[link.outbox[0] as number];
  };
  assert.equal(outbox(), BYTES + 13);
  pair.run(100 * MS);
  pair.a.bond.link(1)?.detach(pair.nowUs);
  assert.equal(outbox(), BYTES + 8);
});

test("the same seed gives the same run", () => {
  const run = () => {
    const pair = new Pair(10, [{ ...DSL, loss: 0.01 }, DSL]);
    pair.run(2 * SECOND, flood(pair, 60));
    return pair.b.delivered.join();
  };
  assert.equal(run(), run());
});
