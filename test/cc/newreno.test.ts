/** NewReno as RFC 5681 and RFC 9002 have it: growth, halving once a round trip, and spurious losses taken back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AckInfo } from "../../src/cc/controller.ts";
import { NewReno } from "../../src/cc/newreno.ts";

const MSS = 1000;

const ack = (change: Partial<AckInfo>): AckInfo => ({
  ...{ nowUs: 0, ackedBytes: MSS, ackedPackets: 1, largestSentUs: 0, own: true, heldUs: 0 },
  ...{ fresh: true, oneWayUs: 0, firstOneWayUs: 0 },
  ...{ srttUs: 20_000, latestRttUs: 20_000, minRttUs: 20_000, firstRttUs: 20_000 },
  ...{ receivedUs: 0, deliveredBytes: 0, ceCount: 0, ectCount: 0, inFlightBytes: 0 },
  ...{ windowLimited: true },
  ...change,
});
const loss = (nowUs: number, largestSentUs: number) => ({
  ...{ nowUs, lostBytes: MSS, lostPackets: 1, largestSentUs },
});

test("slow start grows by what is acknowledged", () => {
  const reno = new NewReno(MSS);
  assert.equal(reno.cwndBytes, 10 * MSS);
  reno.onAck(ack({ ackedBytes: 10 * MSS }));
  assert.equal(reno.cwndBytes, 20 * MSS);
});

test("a loss halves the window once a round trip, and growth is linear then", () => {
  const reno = new NewReno(MSS);
  reno.onAck(ack({ ackedBytes: 30 * MSS }));
  reno.onLoss(loss(100, 50));
  reno.onLoss(loss(110, 90));
  assert.equal(reno.cwndBytes, 20 * MSS);
  reno.onAck(ack({ largestSentUs: 200, ackedBytes: 20 * MSS }));
  assert.equal(reno.cwndBytes, 21 * MSS);
  reno.onLoss(loss(300, 250));
  assert.equal(reno.cwndBytes, 10.5 * MSS);
});

test("packets sent before the loss earn no growth", () => {
  const reno = new NewReno(MSS);
  reno.onLoss(loss(100, 50));
  reno.onAck(ack({ largestSentUs: 100 }));
  assert.equal(reno.cwndBytes, 5 * MSS);
});

test("an idle application earns no growth", () => {
  const reno = new NewReno(MSS);
  reno.onAck(ack({ windowLimited: false, ackedBytes: 100 * MSS }));
  assert.equal(reno.cwndBytes, 10 * MSS);
});

test("in slow start half a window in flight earns growth, in congestion avoidance it does not", () => {
  const reno = new NewReno(MSS);
  reno.onAck(ack({ windowLimited: false, inFlightBytes: 5 * MSS }));
  assert.equal(reno.cwndBytes, 11 * MSS);
  reno.onLoss(loss(100, 50));
  reno.onAck(ack({ windowLimited: false, largestSentUs: 200, inFlightBytes: 5 * MSS }));
  assert.equal(reno.cwndBytes, 5.5 * MSS);
});

test("a congestion mark counts as a loss", () => {
  const reno = new NewReno(MSS);
  reno.onAck(ack({ ceCount: 1, nowUs: 10, largestSentUs: 5 }));
  assert.equal(reno.cwndBytes, 5 * MSS);
});

test("a loss that proves spurious is taken back", () => {
  const reno = new NewReno(MSS);
  reno.onLoss(loss(100, 50));
  reno.onSpuriousLoss(120, 1);
  assert.equal(reno.cwndBytes, 10 * MSS);
});

test("one late packet does not take back an episode of many losses", () => {
  const reno = new NewReno(MSS);
  reno.onLoss({ ...loss(100, 50), lostPackets: 40 });
  reno.onSpuriousLoss(120, 1);
  assert.equal(reno.cwndBytes, 5 * MSS);
  reno.onSpuriousLoss(130, 39);
  assert.equal(reno.cwndBytes, 10 * MSS);
});

test("the window never falls below two packets", () => {
  const reno = new NewReno(MSS);
  for (let round = 1; round < 9; round += 1) reno.onLoss(loss(100 * round, 100 * round - 1));
  assert.equal(reno.cwndBytes, 2 * MSS);
});

test("pacing is above window over round trip, and far above in slow start", () => {
  const reno = new NewReno(MSS);
  assert.equal(reno.pacingRate, Number.POSITIVE_INFINITY);
  reno.onAck(ack({ ackedBytes: 10 * MSS }));
  assert.equal(reno.pacingRate, (4 * 20 * MSS) / 20_000);
  reno.onLoss(loss(100, 50));
  assert.equal(reno.pacingRate, (1.25 * 10 * MSS) / 20_000);
});
