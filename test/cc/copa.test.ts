/** Copa: what the delay of a queue does to the window, and that loss does nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Copa } from "../../src/cc/copa.ts";
import { MS } from "../../src/core/time.ts";
import { ack, loss, MSS } from "./acks.ts";

/** Rounds of 20 ms and a queue of `queueUs` with a window of acknowledgements each. */
function rounds(copa: Copa, count: number, queueUs: number, fromMs: number): void {
  for (let round = 0; round < count; round += 1) {
    const nowUs = (fromMs + 20 * round) * MS;
    const rttUs = 20 * MS + queueUs;
    const rtts = { srttUs: rttUs, latestRttUs: rttUs, firstRttUs: rttUs };
    copa.onAck(ack({ nowUs, largestSentUs: nowUs - rttUs, ackedBytes: copa.cwndBytes, ...rtts }));
  }
}

test("without a queue the window doubles each round trip", () => {
  const copa = new Copa(MSS);
  rounds(copa, 3, 0, 0);
  assert.equal(copa.cwndBytes, 80 * MSS);
  assert.equal(copa.starting, true);
});

test("a queue longer than its rate allows for shrinks the window, ever faster", () => {
  const copa = new Copa(MSS);
  rounds(copa, 5, 0, 0);
  const before = copa.cwndBytes;
  rounds(copa, 2, 50 * MS, 100);
  assert.equal(copa.starting, false);
  const first = before - copa.cwndBytes;
  rounds(copa, 8, 50 * MS, 200);
  assert.ok(copa.cwndBytes < before - 4 * first, `${copa.cwndBytes}`);
  assert.ok(copa.cwndBytes >= 4 * MSS);
});

test("loss says nothing", () => {
  const copa = new Copa(MSS);
  copa.onLoss(loss({ lostPackets: 5 }));
  assert.equal(copa.cwndBytes, 10 * MSS);
});
