/** What was delivered by when: read between reports, and never guessed beyond them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DeliveredCurve } from "../../../src/cc/dtc/delivered-curve.ts";

const train = () => ({ receivedSpanUs: 0, sentSpanUs: 0, bytes: 0, firstSentUs: 0 });

test("what was delivered within a span is read between points by a straight line", () => {
  const curve = new DeliveredCurve();
  curve.add(1000, 0, 0);
  curve.add(2000, 500, 900);
  curve.add(3000, 2500, 1900);
  assert.equal(curve.deliveredWithin(1000), 2000);
  assert.equal(curve.deliveredWithin(1500), 2250);
  assert.equal(curve.deliveredWithin(500), 1000);
});

test("a span longer than the curve is not guessed", () => {
  const curve = new DeliveredCurve();
  assert.equal(curve.deliveredWithin(10), -1);
  curve.add(1000, 0, 0);
  curve.add(2000, 500, 900);
  assert.equal(curve.deliveredWithin(1001), -1);
});

test("a report that was overtaken adds its octets to the last point", () => {
  const curve = new DeliveredCurve();
  curve.add(1000, 0, 0);
  curve.add(2000, 500, 900);
  curve.add(2000, 700, 950);
  assert.equal(curve.deliveredWithin(1000), 700);
});

test("a train is measured where it was sent and where it arrived", () => {
  const curve = new DeliveredCurve();
  curve.add(10_000, 0, 0);
  curve.add(20_000, 10_000, 5_000);
  curve.add(30_000, 20_000, 10_000);
  const found = train();
  assert.ok(curve.train(15_000, found));
  assert.deepEqual(found, {
    ...{ receivedSpanUs: 20_000, sentSpanUs: 10_000, bytes: 20_000, firstSentUs: 0 },
  });
});

test("the ring agrees with a list of all points as long as it reaches back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 0, max: 9000 })), {
        minLength: 2,
        maxLength: 3000,
      }),
      fc.integer({ min: 1, max: 2_000_000 }),
      (steps, span) => {
        const curve = new DeliveredCurve();
        const points: [number, number][] = [];
        let [us, bytes] = [0, 0];
        for (const [dUs, dBytes] of steps) {
          us += dUs;
          bytes += dBytes;
          points.push([us, bytes]);
          curve.add(us, bytes, us);
        }
        const kept = points.slice(-1024);
        const fromUs = us - span;
        const after = kept.findIndex(([at]) => at > fromUs);
        if (after <= 0) {
          assert.equal(curve.deliveredWithin(span), -1);
          return;
        }
        const [aUs, aBytes] = kept[after - 1] as [number, number];
        const [bUs, bBytes] = kept[after] as [number, number];
        const expected = bytes - (aBytes + ((fromUs - aUs) / (bUs - aUs)) * (bBytes - aBytes));
        assert.ok(Math.abs(curve.deliveredWithin(span) - expected) < 1e-6 * (1 + bytes));
      },
    ),
    { numRuns: 60 },
  );
});
