/** What a link reads from a report, and what not when reports are overtaken or the peer was away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Rtt } from "../../src/cc/rtt.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { FeedbackReading } from "../../src/link/reading.ts";
import { newFeedback } from "../../src/wire/feedback.ts";

const MINUTE = 60 * SECOND;
const MODULUS = 2 ** 32;

/** Reads a report of packet `seq` that was sent and received at these moments of one clock. */
function read(reading: FeedbackReading, seq: number, sentUs: number, receivedUs: number): boolean {
  const feedback = newFeedback();
  feedback.largest = seq;
  feedback.receivedUs = receivedUs % MODULUS;
  feedback.rangeCount = 1;
  const change = {
    ...{ bytes: 1000, packets: 1, sentUs, firstSentUs: sentUs, largest: seq, spurious: 0 },
  };
  reading.read(receivedUs + 10 * MS, feedback, change, seq + 1, new Rtt(), true);
  return reading.ack.fresh;
}

test("a report that another one overtook says nothing of delays", () => {
  const reading = new FeedbackReading();
  assert.equal(read(reading, 1, 1 * SECOND, 1.02 * SECOND), true);
  assert.equal(read(reading, 3, 2 * SECOND, 2.02 * SECOND), true);
  assert.equal(read(reading, 4, 1.5 * SECOND, 1.52 * SECOND), false);
});

test("after an absence of any length delays are read again, though the peer's clock wraps", () => {
  for (const minutes of [1, 35, 36, 40, 71, 72, 110, 3000]) {
    const reading = new FeedbackReading();
    read(reading, 1, 1 * SECOND, 1.02 * SECOND);
    const awakeUs = 1 * SECOND + minutes * MINUTE;
    reading.resume();
    assert.equal(read(reading, 2, awakeUs, awakeUs + 20 * MS), true, `${minutes} minutes`);
    const nextUs = awakeUs + 1 * SECOND;
    assert.equal(read(reading, 3, nextUs, nextUs + 20 * MS), true, `${minutes} minutes`);
    const { oneWayUs } = reading.ack;
    const elapsedUs = reading.ack.receivedUs;
    read(reading, 4, nextUs + 1 * SECOND, nextUs + 1.03 * SECOND);
    assert.ok(reading.ack.receivedUs > elapsedUs, "never runs back");
    assert.equal(reading.ack.oneWayUs - oneWayUs, 10 * MS, `${minutes} minutes`);
  }
});
