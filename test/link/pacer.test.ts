/** The pacer keeps its rate whatever the ticks are, and allows what it said it would. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { Pacer } from "../../src/link/pacer.ts";

const MSS = 1500;

/** Octets that leave in a second when the pacer is asked every `tickUs`. */
function sent(rate: number, tickUs: number): number {
  const pacer = new Pacer(MSS);
  pacer.setRate(0, rate);
  let bytes = 0;
  for (let nowUs = 0; nowUs < SECOND; nowUs += tickUs) {
    while (pacer.allows(nowUs)) {
      pacer.spend(MSS);
      bytes += MSS;
    }
  }
  return bytes;
}

test("the rate is kept by ticks of a millisecond and of two", () => {
  for (const rate of [0.125, 1.25, 12.5, 125]) {
    for (const tickUs of [MS / 4, MS, 2 * MS]) {
      const expected = rate * SECOND;
      const got = sent(rate, tickUs);
      const burst = rate * 2 * MS + 4 * MSS;
      assert.ok(got > 0.98 * expected && got < expected + burst, `${rate} at ${tickUs}: ${got}`);
    }
  }
});

test("lost time beyond two ticks is not caught up", () => {
  const pacer = new Pacer(MSS);
  pacer.setRate(0, 12.5);
  while (pacer.allows(0)) pacer.spend(MSS);
  let bytes = 0;
  while (pacer.allows(SECOND)) {
    pacer.spend(MSS);
    bytes += MSS;
  }
  assert.ok(bytes <= 12.5 * 2 * MS + 4 * MSS, `${bytes}`);
});

test("without a rate everything may leave", () => {
  const pacer = new Pacer(MSS);
  for (let packet = 0; packet < 1000; packet += 1) pacer.spend(MSS);
  assert.ok(pacer.allows(0));
});

test("at the time it names, it allows", () => {
  const pacer = new Pacer(MSS);
  pacer.setRate(0, 1.25);
  while (pacer.allows(0)) pacer.spend(MSS);
  const readyUs = pacer.readyUs(0);
  assert.ok(readyUs > 0 && readyUs < 20 * MS);
  assert.ok(pacer.allows(readyUs));
});
