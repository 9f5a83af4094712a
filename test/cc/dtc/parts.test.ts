/** The parts of delay-target control that are rules of their own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Competition } from "../../../src/cc/dtc/competition.ts";
import { Growth } from "../../../src/cc/dtc/growth.ts";
import { Jump } from "../../../src/cc/dtc/jump.ts";
import { LossResponse } from "../../../src/cc/dtc/loss-response.ts";
import { PathDelay } from "../../../src/cc/dtc/path-delay.ts";
import { Retreat } from "../../../src/cc/dtc/retreat.ts";
import { MS, SECOND } from "../../../src/core/time.ts";
import { ack, MSS } from "../acks.ts";

const RATE = 1;

test("alpha grows while round trips do not answer to the window, and no longer", () => {
  const growth = new Growth();
  const round = { rate: RATE, jitterUs: 0, free: true, queueUs: 0, windowBytes: 0 };
  for (let window = 10_000; window <= 40_000; window += 5_000) {
    growth.onRound({ ...round, windowBytes: window });
  }
  assert.equal(growth.velocity, 64);
  growth.onRound({ ...round, windowBytes: 45_000, queueUs: 5_000 });
  assert.equal(growth.velocity, 1);
});

test("a retreat is futile when round trips do not follow the window", () => {
  for (const [follows, futile] of [
    [1, false],
    [0.5, false],
    [0, true],
  ] as const) {
    const retreat = new Retreat();
    for (let window = 50_000; window >= 30_000; window -= 4_000) {
      const queueUs = 30_000 - follows * (50_000 - window);
      retreat.onRound({ windowBytes: window, rate: RATE, queueUs, jitterUs: 0, queued: true });
    }
    assert.equal(retreat.futile, futile, `follows ${follows}`);
  }
});

test("a step of the round trip that stays is a longer path, one that goes on is a queue", () => {
  for (const [slopeUs, longerUs] of [
    [0, 30_000],
    [2_000, 0],
  ] as const) {
    const jump = new Jump();
    let found = 0;
    for (let at = 0; at < 40; at += 1) {
      const queueUs = at < 5 ? 0 : 30_000 + slopeUs * (at - 5);
      const nowUs = at * 10 * MS;
      const sentUs = nowUs - 70 * MS;
      found += jump.onAck({ nowUs, sentUs, queueUs, standingUs: 0, noiseUs: 0 });
      if (found > 0) break;
    }
    assert.equal(found, longerUs, `slope ${slopeUs}`);
  }
});

const drained = (queueUs: number) => ({
  ...{ nowUs: 0, queueUs, expectedUs: 5_000, jitterUs: 0 },
  ...{ empty: queueUs === 0, competing: false },
});

test("a drain finds the path empty, shared or filled by a rival", () => {
  const competition = new Competition();
  assert.equal(competition.onDrained(drained(0)), "alone");
  assert.equal(competition.onDrained(drained(6_000)), "shared");
  assert.equal(competition.onDrained(drained(30_000)), "rival");
});

test("drains that agree show a longer path, those that differ a rival", () => {
  const same = new Competition();
  const found = [30_000, 30_500, 29_800].map((us) => same.onDrained(drained(us)));
  assert.deepEqual(found, ["rival", "rival", "moved"]);
  const other = new Competition();
  const findings = [30_000, 50_000, 20_000, 40_000].map((us) => other.onDrained(drained(us)));
  assert.deepEqual(findings, ["rival", "rival", "rival", "rival"]);
});

test("a rival is taken to have left only when three drains in a row find its queue short or gone", () => {
  const competition = new Competition();
  const found = [0, 4_000, 30_000, 4_000, 0, 0].map((us) =>
    competition.onDrained({ ...drained(us), competing: true }),
  );
  assert.deepEqual(found, ["rival", "rival", "rival", "rival", "rival", "alone"]);
});

/** How long after a drain the next is wanted, a long queue standing all the time; a round each 0.1 s. */
function restedUs(competition: Competition, drainedUs: number): number {
  const round = { targetUs: 5_000, meanQueueUs: 30_000, expectedUs: 5_000, rttUs: 50 * MS };
  for (let nowUs = drainedUs; ; nowUs += 100 * MS) {
    competition.onRound({
      ...{ ...round, nowUs, queueUs: 30_000, windowBytes: 50_000 },
      ...{ steady: true, jitterUs: 0, rate: RATE, competing: true },
    });
    if (competition.drainWanted) return nowUs - drainedUs;
  }
}

test("a rival whose queue has moved is asked for less often, up to a limit", () => {
  const competition = new Competition();
  competition.onDrained(drained(30_000));
  let nowUs = 0;
  const rests = [50_000, 30_000, 50_000, 30_000, 30_200].map((queueUs) => {
    competition.onDrained({ ...drained(queueUs), nowUs, competing: true });
    const us = restedUs(competition, nowUs);
    nowUs += us;
    return us / SECOND;
  });
  assert.deepEqual(rests, [2.1, 4.1, 4.1, 4.1, 1.1]);
});

const WINDOW_MIN = 6_000;

/** Rounds of 100 packets, `lost` of them lost as long as the window exceeds `fits`. */
function rounds(loss: LossResponse, count: number, lostOf: (window: number) => number): number {
  let window = 100_000;
  for (let round = 0; round < count; round += 1) {
    const lost = lostOf(Math.min(window, loss.capBytes));
    loss.onAcked(100 - lost);
    loss.onLost(lost);
    window *= loss.onRound(round * 20 * MS, Math.min(window, loss.capBytes), false);
    window = Math.min(window * 1.05, 100_000);
  }
  return Math.min(window, loss.capBytes);
}

test("loss that stops below a cap keeps the cap: a policer", () => {
  const loss = new LossResponse(WINDOW_MIN);
  const window = rounds(loss, 60, (bytes) => (bytes > 50_000 ? Math.round(100 - 5e6 / bytes) : 0));
  assert.ok(window > 40_000 && window <= 50_000, `${window}`);
  assert.equal(loss.randomLoss, 0);
});

test("loss that goes on below a cap is random, and is tolerated", () => {
  const loss = new LossResponse(WINDOW_MIN);
  assert.equal(
    rounds(loss, 60, () => 5),
    100_000,
  );
  assert.ok(loss.randomLoss >= 0.04, `${loss.randomLoss}`);
  assert.equal(loss.capBytes, Number.POSITIVE_INFINITY);
});

test("loss that goes on down to the smallest window leaves no cap when it ends", () => {
  const loss = new LossResponse(WINDOW_MIN);
  let window = 100_000;
  for (let round = 0; round < 60; round += 1) {
    loss.onAcked(60);
    loss.onLost(40);
    const held = Math.max(Math.min(window, loss.capBytes), WINDOW_MIN);
    window = Math.max(window * loss.onRound(round * 20 * MS, held, false), WINDOW_MIN);
  }
  assert.equal(window, WINDOW_MIN);
  assert.equal(loss.capBytes, Number.POSITIVE_INFINITY);
});

test("a little loss costs nothing", () => {
  const loss = new LossResponse(WINDOW_MIN);
  assert.equal(
    rounds(loss, 60, () => 1),
    100_000,
  );
  assert.equal(loss.randomLoss, 0);
});

/** Feeds samples of one-way delay, one each 5 ms. */
function feed(delay: PathDelay, fromUs: number, samples: readonly number[], backUs = 10 * MS) {
  samples.forEach((oneWayUs, index) => {
    const rttUs = oneWayUs + backUs;
    const times = { nowUs: fromUs + index * 5 * MS, oneWayUs, firstOneWayUs: oneWayUs };
    delay.onAck(ack({ ...times, latestRttUs: rttUs, firstRttUs: rttUs }));
  });
}

test("the queue is what one-way delays exceed their base by; the way back is not in it", () => {
  const delay = new PathDelay();
  feed(delay, 0, [5000, 5000, 5000, 5000]);
  feed(delay, 1 * SECOND, new Array(20).fill(13_000));
  assert.equal(delay.queueUs, 8_000);
  feed(delay, 2 * SECOND, new Array(60).fill(13_000), 90 * MS);
  assert.equal(delay.queueUs, 8_000);
  assert.ok(delay.restUs > 90 * MS, `${delay.restUs}`);
});

test("one lucky packet does not make the base", () => {
  const delay = new PathDelay();
  feed(delay, 0, [9000, 9000, 9000, 4000, 9000, 9000]);
  feed(delay, 1 * SECOND, new Array(20).fill(9000));
  assert.equal(delay.queueUs, 0);
});

test("a peer's clock that runs fast makes no queue where round trips show none", () => {
  const delay = new PathDelay();
  for (let second = 0; second < 60; second += 1) {
    const driftUs = second * 500;
    for (let index = 0; index < 100; index += 1) {
      const oneWayUs = 5000 + driftUs;
      const nowUs = second * SECOND + index * 10 * MS;
      const rtts = { latestRttUs: 20 * MS, firstRttUs: 20 * MS };
      delay.onAck(ack({ nowUs, oneWayUs, firstOneWayUs: oneWayUs, ...rtts }));
    }
  }
  assert.ok(delay.queueUs <= 1_600, `${delay.queueUs}`);
});

test("delays that scatter within steady rounds lengthen the queue aimed for, up to its bound", () => {
  const delay = new PathDelay();
  assert.equal(delay.targetUs, 5_000);
  for (let round = 0; round < 20; round += 1) {
    feed(delay, round * SECOND, [5000, 15_000, 9000, 14_000]);
    delay.onRound(true, MSS / 10);
  }
  assert.ok(delay.targetUs > 10_000 && delay.targetUs < 15_000, `${delay.targetUs}`);
});
