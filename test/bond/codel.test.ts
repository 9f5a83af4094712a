/** The law of RFC 8289 in virtual time: when the first signal comes, how they close up, when they end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Codel } from "../../src/bond/queue/codel.ts";
import { Tuning } from "../../src/bond/queue/tuning.ts";
import { MS, SECOND } from "../../src/core/time.ts";

const BUCKET = 7;
const STEP_US = 0.5 * MS;
const BEHIND = 100_000;

/** When signals come while packets leave every half millisecond with these sojourns. */
function signalsMs(
  codel: Codel,
  fromMs: number,
  toMs: number,
  sojournUs: number | ((nowMs: number) => number),
): number[] {
  const times: number[] = [];
  for (let nowUs = fromMs * MS; nowUs < toMs * MS; nowUs += STEP_US) {
    const waited = typeof sojournUs === "number" ? sojournUs : sojournUs(nowUs / MS);
    if (codel.signals(BUCKET, nowUs, waited, BEHIND)) times.push(nowUs / MS);
  }
  return times;
}

test("the first signal comes an interval after the target was passed, the next ever closer", () => {
  const times = signalsMs(new Codel(new Tuning()), 1000, 1700, 20 * MS);
  // 1100, then plus 100/sqrt(1), 100/sqrt(2), 100/sqrt(3) ...; packets leave every 0.5 ms.
  const expected = [1100, 1200, 1270.71, 1328.45, 1378.45, 1423.17, 1464, 1501.79, 1537.15];
  for (const [index, at] of expected.entries()) {
    const off = (times[index] as number) - at;
    assert.ok(off >= -0.01 && off <= 0.5 + 0.01, `signal ${index} at ${times[index]}, law ${at}`);
  }
});

const quiet: [name: string, sojournUs: (nowMs: number) => number][] = [
  ["just below the target", () => 9.9 * MS],
  ["above it, but once an interval below", (ms) => (ms % 90 < 1 ? 4 * MS : 50 * MS)],
];
for (const [name, sojournUs] of quiet) {
  test(`a queue that stays ${name} hears nothing`, () => {
    assert.deepEqual(signalsMs(new Codel(new Tuning()), 1000, 5000, sojournUs), []);
  });
}

test("one packet below the target ends an episode, and the next one waits an interval again", () => {
  const codel = new Codel(new Tuning());
  assert.ok(signalsMs(codel, 1000, 1300, 20 * MS).length >= 2);
  assert.equal(codel.signals(BUCKET, 1300 * MS, 1 * MS, BEHIND), false);
  assert.deepEqual(signalsMs(codel, 1301, 1401, 20 * MS), []);
  assert.equal(signalsMs(codel, 1401, 1403, 20 * MS).length, 1);
});

test("an episode soon after another begins with its rate, one long after from the start", () => {
  const second = (pauseMs: number) => {
    const codel = new Codel(new Tuning());
    signalsMs(codel, 1000, 2000, 20 * MS);
    codel.signals(BUCKET, 2000 * MS, 1 * MS, BEHIND);
    return signalsMs(codel, 2000 + pauseMs, 2000 + pauseMs + 200, 20 * MS);
  };
  assert.ok(second(100).length >= 4, `${second(100)}`);
  assert.equal(second(5000).length, 1);
});

test("less than a packet behind is no queue, however long the packet waited", () => {
  const codel = new Codel(new Tuning());
  for (let nowUs = 0; nowUs < SECOND; nowUs += STEP_US) {
    assert.equal(codel.signals(BUCKET, nowUs, 50 * MS, 1514), false);
  }
});

test("nothing is signalled while the links start, and an interval passes afterwards", () => {
  const tuning = new Tuning();
  const codel = new Codel(tuning);
  const service = { rate: 12.5, intervalUs: 100 * MS, allowanceUs: 0 };
  tuning.set({ ...service, starting: true });
  assert.deepEqual(signalsMs(codel, 1000, 3000, 80 * MS), []);
  tuning.set({ ...service, starting: false });
  assert.deepEqual(signalsMs(codel, 3000, 3101, 80 * MS), [3100]);
});

test("buckets do not share their state", () => {
  const codel = new Codel(new Tuning());
  signalsMs(codel, 1000, 1200, 20 * MS);
  assert.equal(codel.signals(BUCKET + 1, 1200 * MS, 20 * MS, BEHIND), false);
});

test("marks are useless after five seconds far above the target, and not before", () => {
  const codel = new Codel(new Tuning());
  signalsMs(codel, 1000, 5990, 60 * MS);
  assert.equal(codel.overloaded(BUCKET, 5990 * MS), false);
  signalsMs(codel, 5990, 6002, 60 * MS);
  assert.equal(codel.overloaded(BUCKET, 6002 * MS), true);
  codel.signals(BUCKET, 6003 * MS, 20 * MS, BEHIND);
  assert.equal(codel.overloaded(BUCKET, 6003 * MS), false);
});

/** [rate Mbit/s, interval ms, allowance ms, starting, target ms, interval ms, stay ms, limit KiB] */
// biome-ignore format: a table reads in columns
const tunings: [number, number, number, boolean, number, number, number, number][] = [
  [ 100,   50,  0, false, 10,   100,   200.48, 3052],
  [   1,   50,  0, false, 18.2, 108.2, 248.4,   256],
  [   0.01, 50, 0, false, 180,  270,   680,     256],
  [1000,   50,  0, false, 10,   100,   200.05, 8192],
  [ 100,  900,  0, false, 30,   300,   600.48, 3052],
  [ 100,   50, 40, false, 50,   140,   240.48, 3052],
  [ 100,  600,  0, true,  30,   300,   900,    3052],
  [   1,   50,  0, true,  18.2, 108.2, 248.4,  1024],
  [   0,   50,  0, false, 10,   100,   200,     256],
];
for (const [mbit, interval, allowance, starting, ...expected] of tunings) {
  const name = `${mbit} Mbit/s, interval ${interval}, allowance ${allowance}, starting ${starting}`;
  test(`tuning: ${name}`, () => {
    const tuning = new Tuning();
    const intervalUs = interval * MS;
    tuning.set({ rate: mbit / 8, intervalUs, allowanceUs: allowance * MS, starting });
    const { targetUs, stayUs, limitBytes } = tuning;
    const got = [targetUs / MS, tuning.intervalUs / MS, stayUs / MS, limitBytes / 1024];
    for (const [index, value] of expected.entries()) {
      assert.ok(Math.abs((got[index] as number) - value) < 0.006 * value, `${got}`);
    }
  });
}
