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
        near.sample(nowUs + 20 * MS, nowUs, clock(nowUs + 10 * MS));
        far.sample(nowUs + 20 * MS, nowUs, clock(nowUs + (10 + farMs) * MS));
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
    delay.sample(nowUs, nowUs, clock(nowUs + pathUs + drift + (nowUs % (40 * MS)) / 8));
    other.sample(nowUs, nowUs, clock(nowUs + 10 * MS + drift));
    if (nowUs === 10 * SECOND) assert.ok(delay.queueUs > 1 * MS && delay.queueUs < 4 * MS);
  }
  const behindUs = delay.behindUs(other);
  assert.ok(Math.abs(behindUs - 30 * MS) < 2 * MS, `${behindUs}`);
});

test("a reset forgets the path", () => {
  const delay = new OneWayDelay();
  delay.sample(0, 0, 5 * MS);
  assert.ok(delay.known);
  delay.reset();
  assert.ok(!delay.known);
});
