/** Round-trip times as RFC 9002 section 5 smooths them, and the timeouts that follow from them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Rtt } from "../../src/cc/rtt.ts";
import { MS } from "../../src/core/time.ts";

test("the first sample sets everything, without the peer's delay when that is plausible", () => {
  const rtt = new Rtt();
  rtt.sample(20 * MS, 0, true);
  assert.deepEqual([rtt.srttUs, rtt.varUs, rtt.minUs], [20 * MS, 10 * MS, 20 * MS]);
  rtt.sample(44 * MS, 8 * MS, true);
  assert.equal(rtt.srttUs, 20 * MS + (36 - 20) * (MS / 8));
});

test("the peer's delay never brings a sample below the minimum", () => {
  const rtt = new Rtt();
  rtt.sample(20 * MS, 0, true);
  rtt.sample(22 * MS, 10 * MS, true);
  assert.equal(rtt.minUs, 20 * MS);
  assert.equal(rtt.srttUs, 20 * MS + (22 - 20) * (MS / 8));
});

test("feedback that came another way says nothing of the minimum", () => {
  const rtt = new Rtt();
  rtt.sample(40 * MS, 0, true);
  rtt.sample(15 * MS, 0, false);
  assert.equal(rtt.minUs, 40 * MS);
  assert.ok(rtt.srttUs < 40 * MS);
});

test("the probe timeout is srtt, four deviations and the peer's longest delay", () => {
  const rtt = new Rtt();
  rtt.sample(20 * MS, 0, true);
  assert.equal(rtt.ptoUs(25 * MS), (20 + 40 + 25) * MS);
});

test("a packet is late after nine eighths of the longer of smoothed and latest", () => {
  const rtt = new Rtt();
  rtt.sample(16 * MS, 0, true);
  rtt.sample(32 * MS, 0, true);
  assert.equal(rtt.lossDelayUs(), 36 * MS);
});

test("answers that were read a minute late do not spoil the mean, and a path that became longer is learnt", () => {
  const rtt = new Rtt();
  for (let count = 0; count < 20; count += 1) rtt.sample(50 * MS, 0, true);
  for (let count = 0; count < 4; count += 1) rtt.sample(60_000 * MS, 0, true);
  assert.ok(rtt.srttUs < 600 * MS, `${rtt.srttUs}`);
  for (let count = 0; count < 100; count += 1) rtt.sample(3_000 * MS, 0, true);
  assert.ok(Math.abs(rtt.srttUs - 3_000 * MS) < 100 * MS, `${rtt.srttUs}`);
});

test("after an absence a lower sample replaces what waited for the return", () => {
  const rtt = new Rtt();
  for (let count = 0; count < 50; count += 1) rtt.sample(20 * MS, 0, true);
  rtt.settle();
  for (const sampleMs of [1000, 700, 400, 60]) rtt.sample(sampleMs * MS, 0, true);
  assert.deepEqual([rtt.srttUs, rtt.varUs], [60 * MS, 30 * MS]);
  rtt.sample(22 * MS, 0, true);
  assert.deepEqual([rtt.srttUs, rtt.varUs], [22 * MS, 11 * MS]);
  for (let count = 0; count < 20; count += 1) rtt.sample(22 * MS, 0, true);
  rtt.sample(14 * MS, 0, true);
  assert.equal(rtt.srttUs, 21 * MS);
});
