/** A fixed rate, and the circuit breaker that heavy loss opens (RFC 8084). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fixed } from "../../src/cc/fixed.ts";
import { SECOND } from "../../src/core/time.ts";
import { ack, loss, MSS } from "./acks.ts";

/** A packet each 10 ms, every `lostOf`th lost. */
function seconds(fixed: Fixed, fromS: number, toS: number, lostOf: number): void {
  for (let at = fromS * 100; at < toS * 100; at += 1) {
    const nowUs = (at * SECOND) / 100;
    if (at % lostOf === 0) fixed.onLoss(loss({ nowUs }));
    else fixed.onAck(ack({ nowUs }));
  }
}

test("the rate is the one given, the window two round trips of it", () => {
  const fixed = new Fixed(MSS, 80_000_000);
  assert.equal(fixed.pacingRate, 10);
  fixed.onAck(ack({ srttUs: 20_000 }));
  assert.equal(fixed.cwndBytes, 2 * 10 * 20_000);
});

test("five seconds of heavy loss open the circuit breaker, quiet closes it by doubling", () => {
  const fixed = new Fixed(MSS, 80_000_000);
  seconds(fixed, 0, 4, 5);
  assert.equal(fixed.pacingRate, 10);
  seconds(fixed, 4, 7, 5);
  assert.equal(fixed.pacingRate, 1);
  seconds(fixed, 7, 40, 100);
  assert.equal(fixed.pacingRate, 10);
});

test("five percent of loss changes nothing", () => {
  const fixed = new Fixed(MSS, 80_000_000);
  seconds(fixed, 0, 20, 20);
  assert.equal(fixed.pacingRate, 10);
});
