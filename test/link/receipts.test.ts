/** What a link's receiver reports, how completely, how soon, and at what cost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MS } from "../../src/core/time.ts";
import { Receipts } from "../../src/link/receipts.ts";
import { FEEDBACK_RANGES_MAX, type Feedback, newFeedback } from "../../src/wire/feedback.ts";

const SRTT = 40 * MS;

/** Sequence numbers that a report covers. */
function covered(feedback: Feedback, largest: number): number[] {
  const numbers: number[] = [];
  for (let index = 0; index < feedback.rangeCount; index += 1) {
    const to = largest - (feedback.rangeFrom[index] as number);
    const from = largest - (feedback.rangeTo[index] as number);
    for (let seq = from; seq <= to; seq += 1) numbers.push(seq);
  }
  return numbers.sort((a, b) => a - b);
}

function received(numbers: readonly number[]): Receipts {
  const receipts = new Receipts();
  for (const seq of numbers) receipts.note(1000, seq, 100, 0, false);
  return receipts;
}

test("a report covers exactly what came, in whatever order it came", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { minLength: 1 });
  fc.assert(
    fc.property(numbers, (arrived) => {
      const receipts = received(arrived);
      const feedback = newFeedback();
      receipts.report(2000, feedback);
      const sorted = [...arrived].sort((a, b) => a - b);
      assert.deepEqual(covered(feedback, receipts.largest), sorted);
      assert.equal(feedback.bytes, 100 * arrived.length);
    }),
  );
});

test("with more holes than a report has room for, the newest are told", () => {
  const numbers = Array.from({ length: 100 }, (_, index) => 2 * index);
  const receipts = received(numbers);
  const feedback = newFeedback();
  receipts.report(2000, feedback);
  assert.equal(feedback.rangeCount, FEEDBACK_RANGES_MAX);
  assert.deepEqual(covered(feedback, 198), numbers.slice(-FEEDBACK_RANGES_MAX));
});

test("packets in order are reported four times a round trip", () => {
  const receipts = received([0]);
  receipts.report(1000, newFeedback());
  receipts.note(2000, 1, 100, 0, false);
  receipts.note(3000, 2, 100, 0, false);
  assert.equal(receipts.deadlineUs(SRTT), 2000 + SRTT / 4);
});

// biome-ignore format: a table reads in columns
const urgent: [seq: number, trafficClass: number, ackNow: boolean, name: string][] = [
  [2, 0, false, "a gap"],
  [1, 3, false, "a congestion mark"],
  [1, 0, true,  "a request"],
];
for (const [seq, trafficClass, ackNow, name] of urgent) {
  test(`${name} is reported at once, but no sooner than a millisecond after the last report`, () => {
    const receipts = received([0]);
    receipts.report(1000, newFeedback());
    receipts.note(1200, seq, 100, trafficClass, ackNow);
    assert.equal(receipts.deadlineUs(SRTT), 1000 + MS);
  });
}

test("nothing new, nothing due", () => {
  const receipts = received([0]);
  receipts.report(1000, newFeedback());
  assert.equal(receipts.deadlineUs(SRTT), Number.POSITIVE_INFINITY);
});

test("a report says how long it was held back and since when packets had waited", () => {
  const receipts = new Receipts();
  receipts.note(1000, 0, 100, 0, false);
  receipts.note(4000, 1, 100, 0, false);
  const feedback = newFeedback();
  receipts.report(9000, feedback);
  assert.equal(feedback.ackDelayUs, 5000);
  assert.equal(feedback.firstUs, 3000);
  assert.equal(feedback.receivedUs, 4000);
});

test("feedback costs a fiftieth of what it reports on, and no less than a message every 25 ms", () => {
  const reports = (bytes: number, gapUs: number, seconds: number) => {
    const receipts = new Receipts();
    const feedback = newFeedback();
    let count = 0;
    // Every second packet is missing: each arrival would be a reason to report at once.
    for (let index = 0; index * gapUs < seconds * 1_000_000; index += 1) {
      const nowUs = index * gapUs;
      receipts.note(nowUs, 2 * index, bytes, 0, false);
      if (receipts.deadlineUs(2 * MS) > nowUs) continue;
      receipts.report(nowUs, feedback);
      count += 1;
    }
    return count;
  };
  // 1400 octets a millisecond are 28 octets of budget: a message of 82 octets and 31 more ranges of 3 each.
  const fast = reports(1400, MS, 10);
  assert.ok(fast * (82 + 31 * 3) <= 0.02 * 1400 * 10_000 * 1.1, `${fast} reports`);
  assert.ok(fast > 10 * 100);
  const slow = reports(100, 5 * MS, 10);
  assert.ok(slow >= 10 * 39 && slow <= 10 * 41 + 10, `${slow} reports`);
});

test("a report that was asked for is due whatever it costs", () => {
  const receipts = new Receipts();
  const feedback = newFeedback();
  for (let seq = 0; seq < 200; seq += 1) {
    receipts.note(seq * MS, seq, 10, 0, true);
    assert.ok(receipts.deadlineUs(SRTT) <= seq * MS, `packet ${seq}`);
    receipts.report(seq * MS, feedback);
  }
});

test("a thin flow, however long, leaves no debt for the fast one after it", () => {
  const receipts = new Receipts();
  const feedback = newFeedback();
  let seq = 0;
  const receive = (bytes: number, gapUs: number, count: number, fromUs: number) => {
    let reports = 0;
    for (let index = 0; index < count; index += 1) {
      const nowUs = fromUs + index * gapUs;
      receipts.note(nowUs, seq, bytes, 0, false);
      seq += 1;
      if (receipts.deadlineUs(2 * MS) > nowUs) continue;
      receipts.report(nowUs, feedback);
      reports += 1;
    }
    return reports;
  };
  receive(100, 20 * MS, 10_000, 0);
  const reports = receive(1400, 100, 2000, 300_000 * MS);
  assert.ok(reports > 150, `${reports} reports in 200 ms`);
});
