/** What every controller does, whatever its name: fills a path, keeps its floor, treats marks as it says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CONTROLLER_NAMES,
  type ControllerName,
  type ControllerSettings,
  makeController,
} from "../../src/cc/controllers.ts";
import { Arena } from "../../src/core/arena.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { ECT0 } from "../../src/link/ecn.ts";
import { Link } from "../../src/link/link.ts";
import { ack, Fluid, loss, MSS } from "./acks.ts";

function settings(name: ControllerName): ControllerSettings {
  if (name === "fixed") return { name, rateBitsPerSecond: 80_000_000 };
  return name === "dtc" ? { name, compete: true } : { name };
}

for (const name of CONTROLLER_NAMES) {
  test(`${name} is made by its name and fills a path`, () => {
    const controller = makeController(settings(name), MSS);
    assert.equal(controller.name, name);
    const path = { rate: 10, rttUs: 40 * MS, bufferBytes: 400_000, backUs: 0, offerBytes: 1e12 };
    const fluid = new Fluid(path);
    fluid.run(controller, 3 * SECOND);
    const before = fluid.deliveredBytes;
    fluid.run(controller, 8 * SECOND);
    const share = (fluid.deliveredBytes - before) / (10 * 5 * SECOND);
    assert.ok(share > 0.85 && share < 1.01, `${share}`);
  });

  test(`${name} never takes back its floor`, () => {
    const controller = makeController(settings(name), MSS);
    for (let at = 1; at < 50; at += 1) {
      controller.onLoss(loss({ nowUs: at * SECOND, largestSentUs: at * SECOND - 1 }));
    }
    assert.ok(controller.cwndBytes >= 2 * MSS);
  });
}

/** What is left of the window when the next report tells of so many marks. */
function windowAfter(chosen: ControllerSettings, ceCount: number): number {
  const controller = makeController(chosen, MSS);
  const fluid = new Fluid({
    rate: 10,
    rttUs: 40 * MS,
    bufferBytes: 4e5,
    backUs: 0,
    offerBytes: 1e12,
  });
  fluid.run(controller, 3 * SECOND);
  const times = { srttUs: 40 * MS, latestRttUs: 40 * MS, firstRttUs: 40 * MS, minRttUs: 40 * MS };
  const nowUs = fluid.nowUs + MS;
  const { deliveredBytes } = fluid;
  controller.onAck(ack({ ...times, nowUs, largestSentUs: nowUs - MS, deliveredBytes, ceCount }));
  return controller.cwndBytes;
}

const EVERY: readonly ControllerSettings[] = [
  ...CONTROLLER_NAMES.map(settings),
  { name: "kernel" },
];

for (const chosen of EVERY) {
  test(`${chosen.name} answers marks if it says so, and its packets ask for them only then`, () => {
    const controller = makeController(chosen, MSS);
    const { answersMarks } = controller;
    assert.equal(windowAfter(chosen, 3) < windowAfter(chosen, 0), answersMarks);
    const arena = new Arena(4);
    const link = new Link({ number: 0, name: "l", arena, controller, mssBytes: MSS, dscp: 10 });
    assert.equal(link.trafficClass, (10 << 2) | (answersMarks ? ECT0 : 0));
    assert.equal(link.asksForMarks, answersMarks);
  });
}
