/** The controller of a link over TCP, where the kernel repairs and paces: a window alone, from what is delivered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeController } from "../../src/cc/controllers.ts";
import { Kernel } from "../../src/cc/kernel.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { ack, Fluid, loss, MSS } from "./acks.ts";

const PATH = { rate: 10, rttUs: 40 * MS, bufferBytes: 1e9, backUs: 0, offerBytes: 4000 };
const BUSY = { ...PATH, offerBytes: Number.POSITIVE_INFINITY };

test("the kernel's controller is made by its name", () => {
  assert.ok(makeController({ name: "kernel" }, MSS) instanceof Kernel);
});

test("a new TCP link is not held back: the window takes 128 packets, and there is no pace", () => {
  const kernel = new Kernel(MSS);
  assert.ok(kernel.cwndBytes >= 128 * MSS);
  assert.equal(kernel.pacingRate, Number.POSITIVE_INFINITY);
});

test("while the rate grows the window lets twice what the path holds go, and 128 packets", () => {
  const kernel = new Kernel(MSS);
  const floor = kernel.cwndBytes;
  new Fluid(PATH).run(kernel, 5 * SECOND);
  // 4000 octets each 5 ms are 0.8 a microsecond, far less than the window: more may be found.
  const twice = 2 * 0.8 * PATH.rttUs;
  assert.ok(
    Math.abs(kernel.cwndBytes - floor - twice) < 0.2 * twice,
    `${kernel.cwndBytes - floor}`,
  );
});

test("a path that is kept busy holds a quarter more than fits, and 5 ms", () => {
  const kernel = new Kernel(MSS);
  const fluid = new Fluid({ ...BUSY });
  fluid.run(kernel, 5 * SECOND);
  const fitsBytes = BUSY.rate * BUSY.rttUs;
  const wanted = 1.25 * fitsBytes + 5 * MS * BUSY.rate;
  assert.ok(Math.abs(kernel.cwndBytes - wanted) < 0.1 * wanted, `${kernel.cwndBytes}`);
  assert.ok(fluid.queueUs < 20 * MS, `${fluid.queueUs}`);
  const before = fluid.deliveredBytes;
  let drains = 0;
  while (fluid.nowUs < 35 * SECOND) {
    const { phase } = kernel;
    fluid.run(kernel, fluid.nowUs + 5 * MS);
    if (kernel.phase === "drain" && phase !== "drain") drains += 1;
  }
  assert.ok(drains >= 2 && drains <= 4, `${drains} drains in 30 s`);
  const share = (fluid.deliveredBytes - before) / (BUSY.rate * 30 * SECOND);
  assert.ok(share > 0.98, `${share}: drains are short`);
});

for (const [what, change] of [
  ["twice as long", { rttUs: 80 * MS }],
  ["half as long", { rttUs: 20 * MS }],
  ["four times as fast", { rate: 40 }],
  ["a quarter as fast", { rate: 2.5 }],
] as const) {
  test(`a path that becomes ${what} is filled again, and no more than that`, () => {
    const kernel = new Kernel(MSS);
    const fluid = new Fluid({ ...BUSY });
    fluid.run(kernel, 15 * SECOND);
    Object.assign(fluid.path, change);
    fluid.run(kernel, 20 * SECOND);
    const before = fluid.deliveredBytes;
    fluid.run(kernel, 25 * SECOND);
    const share = (fluid.deliveredBytes - before) / (fluid.path.rate * 5 * SECOND);
    assert.ok(share > 0.95, `${share} of the rate`);
    const mostUs = 0.25 * fluid.path.rttUs + (40 * MSS) / fluid.path.rate + 15 * MS;
    assert.ok(fluid.queueUs < mostUs, `a queue of ${fluid.queueUs}`);
  });
}

test("a faster load is followed at once, a lull forgotten slowly", () => {
  const kernel = new Kernel(MSS);
  const fluid = new Fluid({ ...PATH });
  fluid.run(kernel, 2 * SECOND);
  const before = kernel.cwndBytes;
  fluid.path.offerBytes = 16_000;
  fluid.run(kernel, 2 * SECOND + 3 * PATH.rttUs);
  const after = kernel.cwndBytes;
  assert.ok(after > 1.5 * before, `${after} after ${before}`);
  fluid.path.offerBytes = 4000;
  fluid.run(kernel, 2 * SECOND + 5 * PATH.rttUs);
  assert.ok(kernel.cwndBytes > before && kernel.cwndBytes <= after);
});

test("losses do not move the window: TCP has repaired them", () => {
  const kernel = new Kernel(MSS);
  new Fluid(PATH).run(kernel, SECOND);
  const before = kernel.cwndBytes;
  kernel.onLoss(loss({ lostPackets: 50, lostBytes: 50 * MSS }));
  assert.equal(kernel.cwndBytes, before);
});

test("reports that all took another link leave the window finite", () => {
  const kernel = new Kernel(MSS);
  for (let round = 0; round < 10; round += 1) {
    const nowUs = round * 20 * MS;
    kernel.onAck(ack({ nowUs, largestSentUs: nowUs, ackedBytes: 20 * MSS, own: false }));
  }
  assert.ok(kernel.cwndBytes > 128 * MSS && kernel.cwndBytes < 200 * MSS, `${kernel.cwndBytes}`);
});

test("a drain ends although all reports come over another link meanwhile", () => {
  const kernel = new Kernel(MSS);
  const fluid = new Fluid({ ...BUSY });
  while (kernel.phase !== "drain") fluid.run(kernel, fluid.nowUs + 5 * MS);
  const change = { own: false, fresh: true, inFlightBytes: 100 * MSS };
  for (let round = 1; round < 100 && kernel.phase === "drain"; round += 1) {
    const nowUs = fluid.nowUs + round * 10 * MS;
    kernel.onAck(ack({ ...change, nowUs, largestSentUs: nowUs - 20 * MS }));
  }
  assert.equal(kernel.phase, "run");
  assert.ok(Number.isFinite(kernel.cwndBytes));
});

test("a new path begins at the floor", () => {
  const kernel = new Kernel(MSS);
  const floor = kernel.cwndBytes;
  new Fluid(PATH).run(kernel, SECOND);
  kernel.onPathReset(SECOND, "rejoin");
  assert.equal(kernel.cwndBytes, floor);
  kernel.onAck(ack({ nowUs: SECOND }));
  assert.equal(kernel.cwndBytes, floor);
});
