/** The default controller on an emulated path: full rate over a short queue, and its bounds whatever happens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Dtc } from "../../../src/cc/dtc/dtc.ts";
import { MS, SECOND } from "../../../src/core/time.ts";
import { ack, Fluid, loss, MSS, type Path } from "../acks.ts";

const dtc = () => new Dtc(MSS, { compete: true });
/** 10 octets per microsecond (80 Mbit/s), 40 ms. */
const path = (change: Partial<Path> = {}): Path => ({
  ...{ rate: 10, rttUs: 40 * MS, bufferBytes: 2_000_000, backUs: 0, offerBytes: 1e12 },
  ...change,
});

function carried(fluid: Fluid, controller: Dtc, fromUs: number, toUs: number): number {
  fluid.run(controller, fromUs);
  const before = fluid.deliveredBytes;
  fluid.run(controller, toUs);
  return (fluid.deliveredBytes - before) / ((toUs - fromUs) * fluid.path.rate);
}

test("a lone flow fills the path and leaves a short queue", () => {
  const controller = dtc();
  const fluid = new Fluid(path());
  const share = carried(fluid, controller, 2 * SECOND, 7 * SECOND);
  assert.ok(share > 0.96, `${share}`);
  assert.ok(fluid.queueUs < 20 * MS, `${fluid.queueUs}`);
  assert.equal(controller.starting, false);
});

test("it follows a rate that falls to a fifth and comes back", () => {
  const controller = dtc();
  const fluid = new Fluid(path());
  fluid.run(controller, 4 * SECOND);
  fluid.path.rate = 2;
  fluid.run(controller, 6 * SECOND);
  assert.ok(fluid.queueUs < 30 * MS, `${fluid.queueUs}`);
  fluid.path.rate = 10;
  const share = carried(fluid, controller, 8 * SECOND, 10 * SECOND);
  assert.ok(share > 0.9, `${share}`);
});

test("a way back that becomes slow does not slow the way forth", () => {
  const controller = dtc();
  const fluid = new Fluid(path());
  fluid.run(controller, 3 * SECOND);
  fluid.path.backUs = 60 * MS;
  const share = carried(fluid, controller, 5 * SECOND, 9 * SECOND);
  assert.ok(share > 0.9, `${share}`);
});

test("what an application leaves unused does not shrink the window", () => {
  const controller = dtc();
  const fluid = new Fluid(path());
  fluid.run(controller, 4 * SECOND);
  const window = controller.cwndBytes;
  fluid.path.offerBytes = 10_000;
  fluid.run(controller, 9 * SECOND);
  assert.ok(controller.cwndBytes > 0.9 * window, `${controller.cwndBytes} of ${window}`);
});

test("in START half a window in use earns growth", () => {
  const controller = dtc();
  const before = controller.cwndBytes;
  controller.onAck(ack({ inFlightBytes: before / 2, ackedBytes: before / 2 }));
  assert.equal(controller.cwndBytes, 1.5 * before);
  controller.onAck(ack({ inFlightBytes: before / 4, ackedBytes: before / 4 }));
  assert.equal(controller.cwndBytes, 1.5 * before);
});

test("a new path begins anew", () => {
  const controller = dtc();
  new Fluid(path()).run(controller, 3 * SECOND);
  controller.onPathReset(3 * SECOND, "address");
  assert.equal(controller.cwndBytes, 10 * MSS);
  assert.equal(controller.pacingRate, Number.POSITIVE_INFINITY);
});

test("a round with marks costs 15 % once", () => {
  const controller = dtc();
  const fluid = new Fluid(path());
  fluid.run(controller, 4 * SECOND);
  const before = controller.cwndBytes;
  const marked = { nowUs: fluid.nowUs, largestSentUs: 0, ceCount: 1, fresh: false };
  const state = { inFlightBytes: before, ackedBytes: 0, deliveredBytes: fluid.deliveredBytes };
  controller.onAck(ack({ ...marked, ...state }));
  controller.onAck(ack({ ...marked, ...state }));
  const left = controller.cwndBytes / before;
  assert.ok(left > 0.84 && left < 0.88, `${left}`);
});

test("a drain is asked for, takes place, and ends where the queue is empty", () => {
  const controller = dtc();
  const fluid = new Fluid(path());
  let [asked, lowest] = [0, Number.POSITIVE_INFINITY];
  for (let nowUs = 5 * MS; nowUs < 20 * SECOND; nowUs += 5 * MS) {
    const before = controller.drain;
    fluid.run(controller, nowUs);
    if (before !== "running" && controller.drain === "running") asked += 1;
    if (nowUs > 3 * SECOND) lowest = Math.min(lowest, fluid.queueUs);
  }
  assert.ok(asked >= 1 && asked <= 3, `${asked}`);
  assert.ok(lowest < 2 * MS, `${lowest}`);
  assert.equal(controller.phase, "run");
});

test("whatever happens, window and rate stay finite and above their floor", () => {
  const us = fc.integer({ min: 1, max: 2 * SECOND });
  const event = fc.oneof(
    fc.record({ kind: fc.constant("ack" as const), us, bytes: fc.integer({ min: 1, max: 500 }) }),
    fc.record({ kind: fc.constant("loss" as const), us, bytes: fc.integer({ min: 1, max: 500 }) }),
    fc.record({ kind: fc.constantFrom("drain", "reset", "mark"), us, bytes: fc.constant(1) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const controller = dtc();
      let [nowUs, deliveredBytes] = [0, 0];
      for (const { kind, us: elapsedUs, bytes } of events) {
        nowUs += elapsedUs / 20;
        deliveredBytes += bytes * MSS;
        const delays = { oneWayUs: elapsedUs, firstOneWayUs: elapsedUs, receivedUs: nowUs };
        const rtts = { srttUs: elapsedUs, latestRttUs: elapsedUs, firstRttUs: elapsedUs };
        const amounts = { ackedBytes: bytes * MSS, ackedPackets: bytes, deliveredBytes };
        const inFlightBytes = 2 * bytes * MSS;
        const times = { nowUs, largestSentUs: nowUs - elapsedUs, inFlightBytes };
        controller.onSent({ nowUs, bytes: MSS, inFlightBytes });
        if (kind === "ack") controller.onAck(ack({ ...times, ...delays, ...rtts, ...amounts }));
        if (kind === "mark") controller.onAck(ack({ ...times, ...delays, ...rtts, ceCount: 1 }));
        if (kind === "loss") controller.onLoss(loss({ nowUs, lostPackets: bytes }));
        if (kind === "drain") controller.beginDrain(nowUs);
        if (kind === "reset") controller.onPathReset(nowUs, "rejoin");
        assert.ok(controller.cwndBytes >= 4 * MSS && controller.cwndBytes < 1e12);
        assert.ok(controller.pacingRate > 0);
      }
    }),
  );
});

test("a path that was away keeps its window, and may have become longer", () => {
  const controller = dtc();
  const fluid = new Fluid(path());
  fluid.run(controller, 4 * SECOND);
  const before = controller.cwndBytes;
  const { offerBytes } = fluid.path;
  fluid.path.offerBytes = 0;
  fluid.run(controller, 4.2 * SECOND);
  fluid.path.rttUs += 30 * MS;
  fluid.path.offerBytes = offerBytes;
  controller.onPathReset(fluid.nowUs, "absence");
  assert.equal(controller.cwndBytes, before);
  assert.equal(controller.phase, "run");
  const share = carried(fluid, controller, 4.35 * SECOND, 4.6 * SECOND);
  assert.ok(share > 0.9, `${share}`);
  assert.ok(fluid.queueUs < 20 * MS, `${fluid.queueUs}`);
});
