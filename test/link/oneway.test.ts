/** One-way delays of links against each other without a common clock: queues, drift, new paths, moved clocks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MS, SECOND } from "../../src/core/time.ts";
import { OneWayDelay } from "../../src/link/oneway.ts";

const MODULUS = 2 ** 32;

/** The peer's clock at our `nowUs`. */
const peerClock = (offsetUs: number) => (nowUs: number) =>
  (((nowUs + offsetUs) % MODULUS) + MODULUS) % MODULUS;

test("how far a link is behind another needs no common clock, whatever the offset", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MODULUS - 1 }), fc.nat(500), (offsetUs, farMs) => {
      const clock = peerClock(offsetUs);
      const near = new OneWayDelay();
      const far = new OneWayDelay();
      for (let nowUs = 0; nowUs < SECOND; nowUs += 20 * MS) {
        near.sample(nowUs + 20 * MS, nowUs, clock(nowUs + 10 * MS), 600 * MS);
        far.sample(nowUs + 20 * MS, nowUs, clock(nowUs + (10 + farMs) * MS), 600 * MS);
      }
      assert.equal(far.behindUs(near), farMs * MS);
      assert.equal(near.behindUs(far) + farMs * MS, 0);
    }),
  );
});

test("a queue is seen above the smallest delay, and drift and old paths are forgotten", () => {
  const clock = peerClock(MODULUS - 5 * SECOND);
  const delay = new OneWayDelay();
  const other = new OneWayDelay();
  for (let nowUs = 0; nowUs < 60 * SECOND; nowUs += 10 * MS) {
    // The route becomes 30 ms longer after 20 s; the peer's clock runs 100 ppm fast all the time.
    const pathUs = nowUs < 20 * SECOND ? 10 * MS : 40 * MS;
    const drift = nowUs / 10_000;
    delay.sample(nowUs, nowUs, clock(nowUs + pathUs + drift + (nowUs % (40 * MS)) / 8), 80 * MS);
    other.sample(nowUs, nowUs, clock(nowUs + 10 * MS + drift), 80 * MS);
    if (nowUs === 10 * SECOND) assert.ok(delay.queueUs > 1 * MS && delay.queueUs < 4 * MS);
  }
  const behindUs = delay.behindUs(other);
  assert.ok(Math.abs(behindUs - 30 * MS) < 2 * MS, `${behindUs}`);
});

test("a reset forgets the path", () => {
  const delay = new OneWayDelay();
  delay.sample(0, 0, 5 * MS, 10 * MS);
  assert.ok(delay.known);
  delay.reset();
  assert.ok(!delay.known);
});

test("a delay that changes by more than round trips can is the clocks' doing, and begins anew", () => {
  for (const movedUs of [-3600 * SECOND, -1 * SECOND, 1 * SECOND, 617 * SECOND]) {
    const delay = new OneWayDelay();
    const before = peerClock(5 * SECOND);
    const after = peerClock(5 * SECOND + movedUs);
    for (let nowUs = 0; nowUs < SECOND; nowUs += 20 * MS) {
      assert.ok(delay.sample(nowUs + 40 * MS, nowUs, before(nowUs + 20 * MS), 40 * MS));
    }
    const sentUs = 1 * SECOND;
    const first = delay.sample(sentUs + 40 * MS, sentUs, after(sentUs + 20 * MS), 40 * MS);
    assert.equal(first, false, `moved by ${movedUs} us`);
    assert.ok(delay.sample(sentUs + 60 * MS, sentUs + 20 * MS, after(sentUs + 40 * MS), 40 * MS));
    assert.equal(delay.queueUs, 0, `moved by ${movedUs} us`);
  }
});

test("a queue of seconds, and a path that becomes a satellite's or ceases to be one, are no moved clocks", () => {
  const clock = peerClock(MODULUS - 5 * SECOND);
  const delay = new OneWayDelay();
  let nowUs = 0;
  for (const oneWayUs of [20 * MS, 3 * SECOND, 20 * MS, 300 * MS, 20 * MS]) {
    const turnUs = 2 * oneWayUs;
    let longestUs = turnUs;
    for (let count = 0; count < 50; count += 1, nowUs += 20 * MS) {
      // The smoothed round trip lags behind when the path becomes shorter.
      longestUs += (turnUs - longestUs) / 8;
      const limitUs = Math.max(turnUs, longestUs);
      assert.ok(delay.sample(nowUs + turnUs, nowUs, clock(nowUs + oneWayUs), limitUs));
    }
  }
});
