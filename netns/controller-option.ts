/** What `--controller` says: the congestion control of a lab's links, as lines of a configuration file. */
import * as v from "valibot";
import { CONTROLLER_NAMES } from "../src/cc/controllers.ts";
import { rate } from "../src/cli/configuration/values.ts";
import { MpfwdError } from "../src/core/errors.ts";

/** @param text - `copa`, or `fixed:50mbit`. @throws MpfwdError ERR_USAGE */
export function controllerLines(text: string): readonly string[] {
  const [name, speed] = text.split(":", 2);
  const known = CONTROLLER_NAMES.find((one) => one === name);
  if (known === undefined || (known === "fixed") !== v.is(rate, speed)) {
    const names = CONTROLLER_NAMES.filter((one) => one !== "fixed").join(", ");
    throw new MpfwdError("ERR_USAGE", `controller ${text}: ${names} or fixed:50mbit is needed`);
  }
  return [`controller = "${known}"`, ...(known === "fixed" ? [`rate = "${speed}"`] : [])];
}
