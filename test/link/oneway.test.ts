/** One-way delays of links against each other without a common clock: queues, drift, new paths, moved clocks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
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
        near.sample(nowUs + 20 * MS, nowUs, clock(nowUs + 10 * MS), 600 * MS, NEVER);
        far.sample(nowUs + 20 * MS, nowUs, clock(nowUs + (10 + farMs) * MS), 600 * MS, NEVER);
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
    delay.sample(
      nowUs,
      nowUs,
      clock(nowUs + pathUs + drift + (nowUs % (40 * MS)) / 8),
      80 * MS,
      NEVER,
    );
    other.sample(nowUs, nowUs, clock(nowUs + 10 * MS + drift), 80 * MS, NEVER);
    if (nowUs === 10 * SECOND) assert.ok(delay.queueUs > 1 * MS && delay.queueUs < 4 * MS);
  }
  const behindUs = delay.behindUs(other);
  assert.ok(Math.abs(behindUs - 30 * MS) < 2 * MS, `${behindUs}`);
});

test("a reset forgets the path", () => {
  const delay = new OneWayDelay();
  delay.sample(0, 0, 5 * MS, 10 * MS, NEVER);
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
      assert.ok(delay.sample(nowUs + 40 * MS, nowUs, before(nowUs + 20 * MS), 40 * MS, NEVER));
    }
    const sentUs = 1 * SECOND;
    const first = delay.sample(sentUs + 40 * MS, sentUs, after(sentUs + 20 * MS), 40 * MS, NEVER);
    assert.equal(first, false, `moved by ${movedUs} us`);
    assert.ok(
      delay.sample(sentUs + 60 * MS, sentUs + 20 * MS, after(sentUs + 40 * MS), 40 * MS, NEVER),
    );
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
      assert.ok(delay.sample(nowUs + turnUs, nowUs, clock(nowUs + oneWayUs), limitUs, turnUs));
    }
  }
});

/** Packets every 10 ms, 20 ms there and 20 ms back: what `delayUs` and `backUs` add, what the clock shows. */
function play(
  delay: OneWayDelay,
  fromUs: number,
  toUs: number,
  { clock, queueUs, backUs }: { clock: typeof peerClockAt0; queueUs: Added; backUs: Added },
): void {
  for (let nowUs = fromUs; nowUs < toUs; nowUs += 10 * MS) {
    const thereUs = 20 * MS + queueUs(nowUs);
    const roundUs = thereUs + 20 * MS + backUs(nowUs);
    delay.sample(nowUs + roundUs, nowUs, clock(nowUs + thereUs), 120 * MS, roundUs);
  }
}
type Added = (nowUs: number) => number;
const peerClockAt0 = peerClock(0);
const nothing = () => 0;

test("a step of the peer's clock that no round trip shows is no queue, nor does it make a link farther", () => {
  const random = new SeededRandom(7);
  const jitter = () => random.next() * 8 * MS;
  for (const stepUs of [50 * MS, 75 * MS, 150 * MS]) {
    const after = peerClock(stepUs);
    const link = new OneWayDelay();
    play(link, 0, SECOND, { clock: peerClockAt0, queueUs: jitter, backUs: jitter });
    play(link, SECOND, 2 * SECOND, { clock: after, queueUs: jitter, backUs: jitter });
    // Of a link that returns nothing is known but what the clock shows now.
    const returned = new OneWayDelay();
    play(returned, SECOND, 2 * SECOND, { clock: after, queueUs: jitter, backUs: jitter });
    const wrongUs = Math.abs(returned.behindUs(link));
    assert.ok(wrongUs < 4 * MS, `step of ${stepUs} us: behind by ${wrongUs} us`);
    assert.ok(link.queueUs < 10 * MS, `step of ${stepUs} us: a queue of ${link.queueUs} us`);
  }
});

test("a queue that stands stays one, whatever queue the way back loses or finds beside it", () => {
  for (const backUs of [nothing, (nowUs: number) => (nowUs < 3 * SECOND ? 40 * MS : 0)]) {
    const link = new OneWayDelay();
    play(link, 0, SECOND, { clock: peerClockAt0, queueUs: nothing, backUs: nothing });
    const standing = { clock: peerClockAt0, queueUs: () => 75 * MS, backUs };
    play(link, SECOND, 5 * SECOND, standing);
    assert.ok(Math.abs(link.queueUs - 75 * MS) < 1 * MS, `${link.queueUs}`);
  }
});

test("a queue that the way back has hidden since before anything was measured is no step when the way back is empty", () => {
  const link = new OneWayDelay();
  const aboveUs = (nowUs: number) => (nowUs < SECOND ? 0 : 60 * MS);
  const backUs = (nowUs: number) => (nowUs < 3 * SECOND ? 80 * MS : 0);
  play(link, 0, 5 * SECOND, { clock: peerClockAt0, queueUs: aboveUs, backUs });
  assert.ok(Math.abs(link.queueUs - 60 * MS) < 1 * MS, `${link.queueUs}`);
});

test("a queue that stood when the first report came back on the link itself is not taken for a step", () => {
  const link = new OneWayDelay();
  for (let nowUs = 0; nowUs < SECOND; nowUs += 10 * MS) {
    link.sample(nowUs + 40 * MS, nowUs, peerClockAt0(nowUs + 20 * MS), 120 * MS, NEVER);
  }
  play(link, SECOND, 2 * SECOND, { clock: peerClockAt0, queueUs: () => 60 * MS, backUs: nothing });
  assert.ok(Math.abs(link.queueUs - 60 * MS) < 1 * MS, `${link.queueUs}`);
});
