/** The rate at which a link delivers, as reports tell it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeliveryRate } from "../../src/link/delivery.ts";

const SRTT = 20_000;

/** Reports every 10 ms from `fromUs`, `rate` octets a microsecond. */
function feed(delivery: DeliveryRate, fromUs: number, rate: number, reports: number): void {
  for (let index = 0; index < reports; index += 1) {
    const nowUs = fromUs + 10_000 * index;
    delivery.report(nowUs % 2 ** 32, (rate * nowUs) % 2 ** 32, SRTT);
  }
}

test("a steady link delivers at its rate, over the wrap of clock and count", () => {
  const delivery = new DeliveryRate();
  feed(delivery, 2 ** 32 - 50_000, 6.25, 20);
  assert.ok(Math.abs(delivery.rate - 6.25) < 1e-6, `${delivery.rate}`);
});

test("a higher sample counts at once, lower ones bit by bit", () => {
  const delivery = new DeliveryRate();
  delivery.report(0, 0, SRTT);
  delivery.report(10_000, 10_000, SRTT);
  delivery.report(20_000, 40_000, SRTT);
  assert.equal(delivery.rate, 3);
  delivery.report(30_000, 50_000, SRTT);
  assert.ok(delivery.rate < 3 && delivery.rate > 2.7);
});

test("reports that come too soon or out of turn are no sample", () => {
  const delivery = new DeliveryRate();
  delivery.report(100_000, 0, SRTT);
  delivery.report(100_100, 100_000, SRTT);
  delivery.report(90_000, 0, SRTT);
  assert.equal(delivery.rate, 0);
});
