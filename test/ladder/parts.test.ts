/** The parts of a ladder by themselves: what is heard and reported, when to try again, when loss is worth a look. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MS, SECOND } from "../../src/core/time.ts";
import { Damping } from "../../src/ladder/damping.ts";
import { Hearing } from "../../src/ladder/hearing.ts";
import { LossWatch } from "../../src/ladder/loss-watch.ts";
import { Retry } from "../../src/ladder/retry.ts";
import { SentHellos } from "../../src/ladder/sent.ts";

const NONCE = 7;

test("a report tells of the highest number and exactly those of the 32 before it that came", () => {
  const arrivals = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 120 });
  fc.assert(
    fc.property(arrivals, (numbers) => {
      const hearing = new Hearing();
      const came = new Set<number>();
      // What is older than the window when it comes is not told, nor what came before the first.
      let highest = 0;
      for (const number of numbers) {
        hearing.heard(0, number, NONCE);
        if (number > highest - 33) came.add(number);
        highest = Math.max(highest, number);
      }
      const { seen } = hearing;
      assert.equal(seen.highest, highest);
      for (let age = 1; age <= 32; age += 1) {
        const told = ((seen.bitmap >>> (age - 1)) & 1) === 1;
        assert.equal(told, came.has(highest - age), `${highest - age} of ${numbers}`);
      }
    }),
  );
});

test("a new nonce begins a new report", () => {
  const hearing = new Hearing();
  for (let number = 1; number <= 40; number += 1) hearing.heard(0, number, NONCE);
  hearing.heard(0, 3, 8);
  assert.deepEqual(hearing.seen, { highest: 3, bitmap: 0, echo: 8 });
});

test("the sender learns from reports what was seen, whatever is lost on the way", () => {
  const fates = fc.array(fc.record({ arrives: fc.boolean(), full: fc.boolean() }), {
    minLength: 1,
    maxLength: 33,
  });
  fc.assert(
    fc.property(fates, (hellos) => {
      const sent = new SentHellos();
      const hearing = new Hearing();
      hellos.forEach(({ arrives, full }, index) => {
        const number = sent.record(index * MS, full, false);
        if (arrives) hearing.heard(0, number, NONCE);
      });
      sent.report(hearing.seen);
      for (const full of [true, false]) {
        const tally = sent.tally(0, SECOND, full ? "full" : "small");
        const ofKind = hellos.filter((hello) => hello.full === full);
        assert.equal(tally.sent, ofKind.length);
        assert.equal(tally.seen, ofKind.filter(({ arrives }) => arrives).length);
      }
    }),
  );
});

test("a tally is of the period asked for, both ends included", () => {
  const sent = new SentHellos();
  for (let at = 0; at < 10; at += 1) sent.record(at * MS, false, true);
  assert.equal(sent.report({ highest: 6, bitmap: 0b100, echo: 0 }), 5 * MS);
  const tally = sent.tally(2 * MS, 5 * MS, "any");
  assert.deepEqual(tally, { sent: 4, seen: 2, firstSeenUs: 2 * MS, lastSeenUs: 5 * MS });
});

test("a report of numbers never sent, or of another path, is no evidence", () => {
  const sent = new SentHellos();
  sent.record(0, false, true);
  assert.equal(sent.report({ highest: 50, bitmap: 0, echo: 0 }), -1);
  sent.forget();
  assert.equal(sent.report({ highest: 1, bitmap: 0, echo: 0 }), -1);
  assert.equal(sent.tally(0, SECOND, "any").sent, 0);
});

test("only the last 256 HELLOs are remembered", () => {
  const sent = new SentHellos();
  for (let at = 0; at < 1000; at += 1) sent.record(at, false, false);
  assert.equal(sent.tally(0, 1000, "any").sent, 256);
  assert.equal(sent.report({ highest: 700, bitmap: 0xffff_ffff, echo: 0 }), -1);
  assert.equal(sent.tally(0, 1000, "any").seen, 0);
});

/** How long a failure makes it wait, in seconds. */
function waits(retry: Retry, nowUs: number, failure: "blocked" | "deliberate"): number {
  retry.failed(nowUs, failure);
  return (retry.untilUs - nowUs) / SECOND;
}

test("a transport that stays blocked is tried after 30 s, 1 min, 2 min, up to an hour", () => {
  const retry = new Retry();
  const found = Array.from({ length: 9 }, (_, at) => waits(retry, at * 7200 * SECOND, "blocked"));
  assert.deepEqual(found, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
});

test("what somebody configured is tried after five minutes", () => {
  const retry = new Retry();
  assert.equal(waits(retry, 0, "deliberate"), 300);
  assert.equal(waits(retry, 300 * SECOND, "deliberate"), 600);
});

test("ten minutes of carrying clear the record, nine do not", () => {
  for (const [carriedS, expected] of [
    [540, 60],
    [600, 30],
  ] as const) {
    const retry = new Retry();
    waits(retry, 0, "blocked");
    retry.passed(30 * SECOND);
    assert.equal(waits(retry, (30 + carriedS) * SECOND, "blocked"), expected);
  }
});

test("canaries that are seen again shorten the wait of what was blocked only", () => {
  for (const [failure, expected] of [
    ["blocked", 30],
    ["deliberate", 600],
  ] as const) {
    const retry = new Retry();
    waits(retry, 0, failure);
    waits(retry, 0, failure);
    retry.seenAgain();
    assert.equal(retry.untilUs / SECOND, expected, failure);
  }
});

test("four switches within ten minutes keep the lower transport for thirty, three do not", () => {
  const damping = new Damping();
  for (const atS of [0, 200, 400]) damping.record(atS * SECOND);
  assert.equal(damping.pinnedUntilUs, Number.NEGATIVE_INFINITY);
  damping.record(601 * SECOND);
  assert.equal(damping.pinnedUntilUs, Number.NEGATIVE_INFINITY, "the first was too long ago");
  damping.record(700 * SECOND);
  assert.equal(damping.pinnedUntilUs, 2500 * SECOND);
});

test("what the peer has climbed to is tried at once, and waits longer when that fails", () => {
  const retry = new Retry();
  retry.failed(0, "blocked");
  assert.equal(retry.waits(29 * SECOND), true);
  retry.hasten(5 * SECOND);
  assert.equal(retry.waits(5 * SECOND), false);
  retry.failed(6 * SECOND, "blocked");
  assert.equal(retry.waits(65 * SECOND), true);
  assert.equal(retry.waits(66 * SECOND), false);
});

test("loss is worth a comparison from 8 packets and 2 % in a second", () => {
  for (const [lost, acked, due] of [
    [7, 0, false],
    [8, 392, true],
    [8, 500, false],
  ] as const) {
    const watch = new LossWatch();
    watch.add(0, 0, acked);
    watch.add(MS, lost, 0);
    assert.equal(watch.due, due, `${lost} of ${lost + acked}`);
  }
});

test("comparisons that find no difference come ever more seldom", () => {
  const watch = new LossWatch();
  const atS: number[] = [];
  for (let nowUs = 0; nowUs < 1000 * SECOND; nowUs += 100 * MS) {
    watch.add(nowUs, 10, 50);
    if (!watch.due) continue;
    atS.push(Math.round(nowUs / SECOND));
    watch.alike(nowUs, false);
  }
  assert.deepEqual(atS, [0, 5, 15, 35, 75, 155, 315, 615, 915]);
});

test("what the transport before has lost is not blamed on the new one", () => {
  const watch = new LossWatch();
  watch.reset(0);
  watch.add(400 * MS, 100, 0);
  assert.equal(watch.due, false);
  watch.add(600 * MS, 100, 0);
  assert.equal(watch.due, true);
});

test("a fifth lost for ten seconds is heavy", () => {
  const watch = new LossWatch();
  for (let atS = 0; atS <= 12; atS += 1) {
    watch.add(atS * SECOND, 20, 80);
    assert.equal(watch.heavy(atS * SECOND), atS >= 10, `${atS} s`);
  }
  watch.add(13 * SECOND, 0, 100);
  watch.add(14 * SECOND, 0, 100);
  assert.equal(watch.heavy(14 * SECOND), false);
});
