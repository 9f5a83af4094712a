/** What waits while no link takes anything: it leaves late, and is neither too old nor a queue. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { STANDSTILL_MAX_US, StandstillClock } from "../../src/bond/queue/standstill.ts";
import { Tuning } from "../../src/bond/queue/tuning.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { Bench, MBIT } from "./queue-bench.ts";

/** How long a pause is a pause only. */
const PAUSE_US = 50 * MS;

test("a moment in which no link takes anything costs a thin flow and a TCP flow no packet", () => {
  const bench = new Bench();
  bench.queue.tune({ rate: 50 * MBIT, intervalUs: 20 * MS, allowanceUs: 0, starting: false });
  let taken = 0;
  const awayUs = 400 * MS;
  for (let nowUs = 0; nowUs < 2 * SECOND; nowUs += MS) {
    if (nowUs % (5 * MS) === 0) bench.push(nowUs, { protocol: 17, source: 1, bytes: 200 });
    if (nowUs < SECOND + awayUs) bench.push(nowUs, { protocol: 6, source: 2, bytes: 1_000 });
    const away = nowUs >= SECOND && nowUs < SECOND + awayUs;
    const most = away ? 0 : 8;
    for (let n = 0; n < most && bench.take(nowUs) >= 0; n += 1) taken += 1;
    if (away) bench.queue.peek(nowUs);
  }
  const { expired, dropped, overflowed } = bench.queue;
  assert.deepEqual({ expired, dropped, overflowed }, { expired: 0, dropped: 0, overflowed: 0 });
  assert.equal(taken, 400 + 1_400);
});

test("what waits for a window does not grow old because urgent packets, which wait for none, leave beside it", () => {
  const bench = new Bench();
  bench.queue.tune({ rate: 50 * MBIT, intervalUs: 20 * MS, allowanceUs: 0, starting: false });
  let urgent = 0;
  for (let nowUs = 0; nowUs < 2 * SECOND; nowUs += MS) {
    if (nowUs % (20 * MS) === 0) bench.push(nowUs, { protocol: 17, source: 1, bytes: 200 });
    if (nowUs < 1_400 * MS) bench.push(nowUs, { protocol: 6, source: 2, bytes: 1_000 });
    const full = nowUs >= SECOND && nowUs < 1_400 * MS;
    if (full) bench.queue.peek(nowUs);
    if (full && bench.queue.headRealtime && bench.take(nowUs) >= 0) urgent += 1;
    for (let n = 0; n < 8 && !full && bench.take(nowUs) >= 0; ) n += 1;
  }
  const { expired, dropped, overflowed } = bench.queue;
  assert.equal(urgent, 20);
  assert.deepEqual({ expired, dropped, overflowed }, { expired: 0, dropped: 0, overflowed: 0 });
});

test("links that pause all the time make the queue longer by no more than the allowance", () => {
  const clock = new StandstillClock(new Tuning());
  let nowUs = 0;
  clock.began(nowUs);
  for (let n = 0; n < 100; n += 1) {
    nowUs += 400 * MS;
    clock.left(nowUs);
  }
  const behindUs = nowUs - clock.at(nowUs);
  assert.ok(behindUs <= STANDSTILL_MAX_US + nowUs / 8, `${behindUs} us in ${nowUs} us`);
  assert.ok(behindUs >= STANDSTILL_MAX_US);
});

test("a slow link that sends its packets one by one does not stand still", () => {
  const tuning = new Tuning();
  tuning.set({ rate: 0.1 * MBIT, intervalUs: 100 * MS, allowanceUs: 0, starting: false });
  const clock = new StandstillClock(tuning);
  clock.began(0);
  for (let nowUs = 120 * MS; nowUs < 5 * SECOND; nowUs += 120 * MS) {
    clock.left(nowUs);
    assert.equal(clock.at(nowUs), nowUs);
  }
});

test("links that die or become known within a pause neither turn the clock back nor let it jump", () => {
  const known = { rate: 0.1 * MBIT, intervalUs: 100 * MS, allowanceUs: 0, starting: false };
  const dead = { ...known, rate: 0 };
  for (const [before, after] of [
    [known, dead],
    [dead, known],
  ] as const) {
    const tuning = new Tuning();
    const clock = new StandstillClock(tuning);
    tuning.set(before);
    clock.began(0);
    const shownUs = clock.at(400 * MS);
    tuning.set(after);
    assert.equal(clock.at(400 * MS), shownUs, `from ${before.rate} to ${after.rate}`);
    clock.left(400 * MS);
    assert.equal(clock.at(400 * MS), shownUs, `from ${before.rate} to ${after.rate}`);
  }
});

test("the clock never goes back nor ahead, and a pause counts when it is short", () => {
  const pauses = fc.array(fc.tuple(fc.integer({ min: 0, max: 2_000 }), fc.boolean()));
  fc.assert(
    fc.property(pauses, (steps) => {
      const clock = new StandstillClock(new Tuning());
      clock.began(0);
      let nowUs = 0;
      let shownUs = 0;
      for (const [pauseMs, leaves] of steps) {
        const beforeUs = nowUs;
        nowUs += pauseMs * MS;
        const clockUs = clock.at(nowUs);
        assert.ok(clockUs >= shownUs && clockUs <= nowUs);
        assert.ok(nowUs - beforeUs - (clockUs - shownUs) <= STANDSTILL_MAX_US);
        shownUs = clockUs;
        if (!leaves) continue;
        clock.left(nowUs);
        assert.equal(clock.at(nowUs), clockUs, "leaving changes nothing at that moment");
        assert.equal(clock.at(nowUs + PAUSE_US), clockUs + PAUSE_US);
      }
    }),
  );
});
