import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CONTROLLER_NAMES,
  type ControllerName,
  type ControllerSettings,
  makeController,
} from "../../src/cc/controllers.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { Fluid, loss, MSS } from "./acks.ts";

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
