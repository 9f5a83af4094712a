/** The controller of a link over TCP, where the kernel repairs and paces: a window alone, from what is delivered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeController } from "../../src/cc/controllers.ts";
import { Kernel } from "../../src/cc/kernel.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { ack, Fluid, loss, MSS } from "./acks.ts";

const PATH = { rate: 10, rttUs: 40 * MS, bufferBytes: 1e9, backUs: 0, offerBytes: 4000 };

test("the kernel's controller is made by its name", () => {
  assert.ok(makeController({ name: "kernel" }, MSS) instanceof Kernel);
});

test("a new TCP link is not held back: the window takes 128 packets, and there is no pace", () => {
  const kernel = new Kernel(MSS);
  assert.ok(kernel.cwndBytes >= 128 * MSS);
  assert.equal(kernel.pacingRate, Number.POSITIVE_INFINITY);
});

test("the window is twice what a round trip delivers, above the floor", () => {
  const kernel = new Kernel(MSS);
  const floor = kernel.cwndBytes;
  new Fluid(PATH).run(kernel, 5 * SECOND);
  // 4000 octets each 5 ms are 0.8 a microsecond.
  const twice = 2 * 0.8 * PATH.rttUs;
  assert.ok(
    Math.abs(kernel.cwndBytes - floor - twice) < 0.2 * twice,
    `${kernel.cwndBytes - floor}`,
  );
});

test("a faster path is followed at once, a lull forgotten slowly", () => {
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

test("a new path begins at the floor", () => {
  const kernel = new Kernel(MSS);
  const floor = kernel.cwndBytes;
  new Fluid(PATH).run(kernel, SECOND);
  kernel.onPathReset(SECOND, "rejoin");
  assert.equal(kernel.cwndBytes, floor);
  kernel.onAck(ack({ nowUs: SECOND }));
  assert.equal(kernel.cwndBytes, floor);
});
