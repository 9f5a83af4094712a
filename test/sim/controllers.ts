/** Controllers by name, as the matrix and its command take them. */
import * as v from "valibot";
import { CONTROLLER_NAMES, makeController } from "../../src/cc/controllers.ts";
import { rate } from "../../src/cli/configuration/values.ts";
import type { ControllerFactory } from "./specs.ts";

/** All that need no rate, and `dtc-shy`, which does not hold its own against flows that fill the buffer. */
export const NAMES: readonly string[] = [
  ...CONTROLLER_NAMES.filter((name) => name !== "fixed"),
  "dtc-shy",
];

/** Of every link, `fixed:50mbit`. */
const FIXED = /^fixed:(.+)$/;

/** The factory for a name, or for `fixed` with its rate; undefined when there is none of that name. */
export function controllerNamed(name: string): ControllerFactory | undefined {
  switch (name) {
    case "dtc":
      return (mssBytes) => makeController({ name, compete: true }, mssBytes);
    case "dtc-shy":
      return (mssBytes) => makeController({ name: "dtc", compete: false }, mssBytes);
    case "copa":
    case "cubic":
    case "newreno":
      return (mssBytes) => makeController({ name }, mssBytes);
    default:
      return fixed(FIXED.exec(name)?.[1]);
  }
}

function fixed(speed: string | undefined): ControllerFactory | undefined {
  const bits = v.safeParse(rate, speed);
  if (!bits.success) return undefined;
  const settings = { name: "fixed", rateBitsPerSecond: bits.output } as const;
  return (mssBytes) => makeController(settings, mssBytes);
}
