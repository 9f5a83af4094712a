/** CUBIC (RFC 9438) and HyStart++ (RFC 9406): plateau, Reno's line, marks, and when slow start ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cubic } from "../../src/cc/cubic.ts";
import { HyStart } from "../../src/cc/hystart.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { ack, loss, MSS } from "./acks.ts";

/** Acknowledges a window each round trip of 100 ms; returns segments after `seconds`. */
function avoid(cubic: Cubic, fromUs: number, seconds: number): number {
  for (let nowUs = fromUs; nowUs < fromUs + seconds * SECOND; nowUs += 10 * MS) {
    const ackedBytes = cubic.cwndBytes / 10;
    cubic.onAck(ack({ nowUs, largestSentUs: nowUs, ackedBytes, srttUs: 100 * MS }));
  }
  return cubic.cwndBytes / MSS;
}

test("after a loss the window is 0.7 of what it was, and back at its plateau after K", () => {
  const cubic = new Cubic(MSS);
  cubic.resume(1000 * MSS);
  cubic.onLoss(loss({ nowUs: 1, largestSentUs: 1 }));
  assert.equal(Math.round(cubic.cwndBytes / MSS), 700);
  // K = cbrt(300 / 0.4) = 9.09 s
  const early = avoid(cubic, 2, 4.5);
  assert.ok(early > 930 && early < 970, `${early}`);
  const plateau = avoid(cubic, 4.5 * SECOND, 4.6);
  assert.ok(plateau > 990 && plateau < 1010, `${plateau}`);
});

test("on a small window Reno's line is followed where the cubic lies below it", () => {
  const cubic = new Cubic(MSS);
  cubic.resume(10 * MSS);
  cubic.onLoss(loss({ nowUs: 1, largestSentUs: 1 }));
  // Ten round trips: 0.529 segments each up to the window of before, one each from there on.
  const window = avoid(cubic, 2, 1);
  assert.ok(window > 13.5 && window < 15, `${window}`);
});

test("a mark costs less than a loss, and losses of one episode count once", () => {
  const cubic = new Cubic(MSS);
  cubic.resume(100 * MSS);
  cubic.onAck(ack({ nowUs: 10, largestSentUs: 5, ceCount: 3, ackedBytes: 0 }));
  assert.equal(cubic.cwndBytes, 85 * MSS);
  cubic.onLoss(loss({ nowUs: 12, largestSentUs: 9 }));
  assert.equal(cubic.cwndBytes, 85 * MSS);
});

test("a loss that proves spurious is taken back", () => {
  const cubic = new Cubic(MSS);
  cubic.resume(100 * MSS);
  cubic.onLoss(loss({ nowUs: 12, largestSentUs: 9 }));
  cubic.onSpuriousLoss(20, 1);
  assert.equal(cubic.cwndBytes, 100 * MSS);
});

test("a window that is not the limit does not grow", () => {
  const cubic = new Cubic(MSS);
  cubic.resume(100 * MSS);
  for (let nowUs = 0; nowUs < 10 * SECOND; nowUs += 10 * MS) {
    cubic.onAck(ack({ nowUs, largestSentUs: nowUs, windowLimited: false }));
  }
  assert.equal(cubic.cwndBytes, 100 * MSS);
});

function round(hystart: HyStart, rttUs: number): void {
  for (let sample = 0; sample < 8; sample += 1) hystart.sample(rttUs);
  hystart.onRound();
}

test("HyStart++ leaves slow start five rounds after round trips have grown", () => {
  const hystart = new HyStart();
  round(hystart, 40 * MS);
  round(hystart, 44 * MS);
  assert.equal(hystart.growth(4000), 4000);
  round(hystart, 50 * MS);
  assert.equal(hystart.growth(4000), 1000);
  for (let count = 0; count < 4; count += 1) round(hystart, 50 * MS);
  assert.equal(hystart.done, true);
});

test("HyStart++ goes back to slow start when the growth was a false alarm", () => {
  const hystart = new HyStart();
  round(hystart, 40 * MS);
  round(hystart, 50 * MS);
  round(hystart, 40 * MS);
  assert.equal(hystart.growth(4000), 4000);
  assert.equal(hystart.done, false);
});
