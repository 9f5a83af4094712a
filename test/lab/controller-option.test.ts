/** The lab's `--controller`: what portals read in their files. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { controllerLines } from "../../netns/controller-option.ts";
import { CONTROLLER_NAMES } from "../../src/cc/controllers.ts";
import { MpfwdError } from "../../src/core/errors.ts";

for (const name of CONTROLLER_NAMES.filter((one) => one !== "fixed")) {
  test(`controller ${name} is a line of its own`, () => {
    assert.deepEqual(controllerLines(name), [`controller = "${name}"`]);
  });
}

test("controller fixed comes with its rate", () => {
  assert.deepEqual(controllerLines("fixed:50mbit"), ['controller = "fixed"', 'rate = "50mbit"']);
});

for (const text of ["", "bbr", "kernel", "fixed", "fixed:", "fixed:fast", "dtc:50mbit"]) {
  test(`controller "${text}" is refused`, () => {
    assert.throws(
      () => controllerLines(text),
      (error: MpfwdError) => error instanceof MpfwdError && error.code === "ERR_USAGE",
    );
  });
}
