/** Controllers by name, as the matrix and its command take them. */
import { CONTROLLER_NAMES, makeController } from "../../src/cc/controllers.ts";
import type { ControllerFactory } from "./world.ts";

/** All that need no rate, and `dtc-shy`, which does not hold its own against flows that fill the buffer. */
export const NAMES: readonly string[] = [
  ...CONTROLLER_NAMES.filter((name) => name !== "fixed"),
  "dtc-shy",
];

/** The factory for a name; undefined when there is none of that name. */
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
      return undefined;
  }
}
