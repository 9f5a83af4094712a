/** The emulator's judgement, in virtual time: who leaves when, who is lost, who is overtaken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Impairments } from "../../netns/emulator/impairments.ts";
import { EmulatedPath } from "../../netns/emulator/path.ts";
import { MS } from "../../src/core/time.ts";

const CAPACITY = 4_096;
/** On the wire. */
const OCTETS = 1_000;

function pathWith(change: Partial<Impairments>, seed = 1): EmulatedPath {
  const path = new EmulatedPath(seed, CAPACITY);
  path.set(change);
  return path;
}

/** Sends packets 0..count-1, `everyUs` apart; returns [slot, us] in the order in which they leave. */
function send(path: EmulatedPath, count: number, everyUs: number): [number, number][] {
  const left: [number, number][] = [];
  for (let slot = 0; slot < count; slot += 1) {
    drain(path, slot * everyUs, left);
    const verdict = path.judge(OCTETS, slot * everyUs);
    if (verdict === "duplicate") path.enqueue(slot, slot * everyUs, false);
    if (["pass", "duplicate", "overtaken"].includes(verdict)) {
      path.enqueue(slot, slot * everyUs, verdict === "overtaken");
    }
  }
  while (path.deadlineUs() < Number.POSITIVE_INFINITY) drain(path, path.deadlineUs(), left);
  return left;
}

function drain(path: EmulatedPath, nowUs: number, into: [number, number][]): void {
  while (path.deadlineUs() <= nowUs) {
    const atUs = path.deadlineUs();
    const slot = path.dequeue(atUs);
    if (slot !== -1) into.push([slot, atUs]);
  }
}

const slotsOf = (left: [number, number][]) => left.map(([slot]) => slot);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

test("a path without impairments passes every packet at once and in order", () => {
  const left = send(pathWith({}), 100, 10);
  assert.deepEqual(
    left,
    upTo(100).map((slot) => [slot, slot * 10]),
  );
});

test("delay is added to every packet exactly", () => {
  const left = send(pathWith({ delayUs: 20 * MS }), 100, MS);
  assert.deepEqual(
    left,
    upTo(100).map((slot) => [slot, slot * MS + 20 * MS]),
  );
});

test("nothing leaves before its time", () => {
  const path = pathWith({ delayUs: 5 * MS });
  path.judge(OCTETS, 0);
  path.enqueue(7, 1_000, false);
  assert.equal(path.deadlineUs(), 6 * MS);
  assert.equal(path.dequeue(6 * MS - 1), -1);
  assert.equal(path.dequeue(6 * MS), 7);
  assert.equal(path.deadlineUs(), Number.POSITIVE_INFINITY);
});

test("jitter varies the delay around its mean and keeps order", () => {
  // 20 ms apart and 5 ms of swing: no packet has to wait for the one before it.
  const left = send(pathWith({ delayUs: 10 * MS, jitterUs: 5 * MS }), 2_000, 20 * MS);
  assert.deepEqual(slotsOf(left), upTo(2_000));
  const delays = left.map(([slot, us]) => us - slot * 20 * MS);
  const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
  assert.ok(Math.min(...delays) >= 5 * MS && Math.min(...delays) < 5.2 * MS);
  assert.ok(Math.max(...delays) <= 15 * MS && Math.max(...delays) > 14.8 * MS);
  assert.ok(Math.abs(mean - 10 * MS) < 0.3 * MS, `mean ${mean}`);
});

test("the listed packets are lost and no others", () => {
  const path = pathWith({ lose: [1, 5, 9] });
  assert.deepEqual(slotsOf(send(path, 10, 10)), [1, 2, 3, 5, 6, 7, 9]);
  assert.equal(path.report().dropped.listed, 3);
});

test("a path that stops passes its packets and then nothing", () => {
  const path = pathWith({ stop: 4 });
  assert.deepEqual(slotsOf(send(path, 10, 10)), [0, 1, 2, 3]);
  assert.equal(path.report().dropped.stopped, 6);
});

test("random loss has the share that was asked for", () => {
  const path = pathWith({ loss: 0.02 });
  const left = send(path, 50_000, 10);
  const share = 1 - left.length / 50_000;
  assert.ok(share > 0.017 && share < 0.023, `share ${share}`);
  assert.equal(path.report().dropped.lost, 50_000 - left.length);
});

test("burst loss has the share and the mean run that were asked for", () => {
  const left = slotsOf(send(pathWith({ loss: 0.05, burst: 8 }), 200_000, 10));
  const share = 1 - left.length / 200_000;
  const runs = left.filter((slot, index) => index > 0 && slot !== (left[index - 1] ?? 0) + 1);
  const meanRun = (200_000 - left.length) / runs.length;
  assert.ok(share > 0.04 && share < 0.06, `share ${share}`);
  assert.ok(meanRun > 7 && meanRun < 9, `mean run ${meanRun}`);
});

test("a duplicated packet leaves twice, the copies together", () => {
  const path = pathWith({ duplicate: 1 });
  assert.deepEqual(slotsOf(send(path, 3, 10)), [0, 0, 1, 1, 2, 2]);
  assert.equal(path.report().duplicated, 3);
});

test("an overtaken packet is overtaken by exactly `gap` packets", () => {
  const path = pathWith({ reorder: 1, gap: 2 });
  assert.deepEqual(slotsOf(send(path, 6, 10)), [1, 2, 0, 4, 5, 3]);
  assert.equal(path.report().overtaken, 2);
});

test("an overtaken packet that nobody overtakes still leaves", () => {
  const path = pathWith({ reorder: 1, delayUs: MS });
  assert.deepEqual(send(path, 1, 10), [[0, 51 * MS]]);
});

test("a policer passes its bucket at once and its rate from then on", () => {
  const path = pathWith({ police: 8e6, bucket: 5 * OCTETS });
  // 8 Mbit/s are a packet a millisecond; four come in each.
  const left = slotsOf(send(path, 400, MS / 4));
  assert.deepEqual(left.slice(0, 5), [0, 1, 2, 3, 4]);
  assert.ok(left.length >= 103 && left.length <= 106, `${left.length} of 400 passed`);
  assert.equal(path.report().dropped.policed, 400 - left.length);
});

test("a policer drops nothing of what comes slower than its rate", () => {
  const path = pathWith({ police: 8e6, bucket: 2 * OCTETS });
  assert.equal(send(path, 400, 1.1 * MS).length, 400);
});

test("a cut path loses what is in flight and what comes, and works again when restored", () => {
  const path = pathWith({ delayUs: 10 * MS });
  path.judge(OCTETS, 0);
  path.enqueue(0, 0, false);
  path.set({ cut: true });
  assert.equal(path.judge(OCTETS, 0), "cut");
  assert.equal(path.dequeue(10 * MS), 0);
  assert.deepEqual([path.report().passed, path.report().dropped.cut], [0, 2]);
  path.set({ cut: false });
  assert.equal(path.judge(OCTETS, 0), "pass");
});

test("a full path drops and says so", () => {
  const path = new EmulatedPath(1, 16);
  path.set({ delayUs: MS });
  assert.ok(send(path, 100, 1).length < 100);
  assert.ok(path.report().dropped.overflow > 0);
});

test("every packet is passed, dropped or in flight; order changes only by request", () => {
  const share = fc.double({ min: 0, max: 0.3, noNaN: true });
  const options = fc.record({
    delayUs: fc.integer({ min: 0, max: 50 * MS }),
    jitterUs: fc.integer({ min: 0, max: 20 * MS }),
    loss: share,
    burst: fc.integer({ min: 1, max: 10 }),
    duplicate: share,
    reorder: fc.constantFrom(0, 0.2),
    gap: fc.integer({ min: 1, max: 10 }),
  });
  const property = fc.property(
    options,
    fc.nat(),
    fc.integer({ min: 1, max: 500 }),
    (given, seed, everyUs) => {
      const path = pathWith(given, seed);
      const left = send(path, 300, everyUs);
      const report = path.report();
      const dropped = Object.values(report.dropped).reduce((sum, one) => sum + one, 0);
      assert.equal(report.packets, 300);
      assert.equal(report.passed, left.length);
      assert.equal(report.passed + dropped, 300 + report.duplicated);
      const times = left.map(([, us]) => us);
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      );
      if (given.reorder > 0) return;
      const slots = slotsOf(left);
      assert.deepEqual(
        slots,
        [...slots].sort((a, b) => a - b),
      );
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test("the same seed gives the same fate", () => {
  const given = { loss: 0.1, jitterUs: MS, delayUs: MS, reorder: 0.1, duplicate: 0.1 };
  assert.deepEqual(send(pathWith(given, 9), 500, 10), send(pathWith(given, 9), 500, 10));
  assert.notDeepEqual(send(pathWith(given, 9), 500, 10), send(pathWith(given, 10), 500, 10));
});
