/** When START sees that a path is full: trains that arrive slowly, and no faster than a round before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeliveredCurve } from "../../../src/cc/dtc/delivered-curve.ts";
import { Start } from "../../../src/cc/dtc/start.ts";
import { MS } from "../../../src/core/time.ts";
import { ack, MSS } from "../acks.ts";

const TRAIN_US = 20 * MS;
const ROUND_US = 100 * MS;

/** One train a round, each sent in half the time in which it arrives; the round in which START ends, -1: none. */
function endsIn(ratesOfRounds: readonly number[]): number {
  const start = new Start();
  const curve = new DeliveredCurve();
  let bytes = 0;
  return ratesOfRounds.findIndex((rate, round) => {
    const us = round * ROUND_US;
    curve.add(us, bytes, us);
    bytes += rate * TRAIN_US;
    curve.add(us + TRAIN_US, bytes, us + TRAIN_US / 2);
    return start.onAck(ack({ srttUs: 2 * TRAIN_US }), curve, round, MSS);
  });
}

test("a second slow train of the same rate ends START", () => {
  assert.equal(endsIn([10, 10]), 1);
  assert.equal(endsIn([10, 10.5]), 1);
});

test("a slow train that is faster than a round before does not", () => {
  assert.equal(endsIn([5, 10]), -1);
  assert.equal(endsIn([8.1, 9.6, 12.4, 12.5]), 3, "pauses between bursts make a train look slow");
});
