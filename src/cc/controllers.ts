/** The congestion controllers by name, and how one is made from a link's settings. */
import { unreachable } from "../core/assert.ts";
import type { CongestionController } from "./controller.ts";
import { Copa } from "./copa.ts";
import { Cubic } from "./cubic.ts";
import { Dtc } from "./dtc/dtc.ts";
import { Fixed } from "./fixed.ts";
import { Kernel } from "./kernel.ts";
import { NewReno } from "./newreno.ts";

/** As in configuration and status; the first is the default. */
export const CONTROLLER_NAMES = ["dtc", "copa", "cubic", "newreno", "fixed"] as const;

export type ControllerName = (typeof CONTROLLER_NAMES)[number];

/** `fixed` must be asked for by its rate: it does not share a path with anybody. */
export type ControllerSettings =
  | {
      readonly name: "dtc";
      /** Hold its own against flows that fill the buffer, at the price of their delay. */
      readonly compete: boolean;
    }
  | { readonly name: "copa" | "cubic" | "newreno" }
  /** Of links carried by TCP, and of no others: not to be configured. */
  | { readonly name: "kernel" }
  | {
      readonly name: "fixed" /** Above 0, octets as on the wire. */;
      readonly rateBitsPerSecond: number;
    };

export const DEFAULT_CONTROLLER: ControllerSettings = { name: "dtc", compete: true };

/** @param mssBytes - octets of a full packet on the wire */
export function makeController(
  settings: ControllerSettings,
  mssBytes: number,
): CongestionController {
  switch (settings.name) {
    case "dtc":
      return new Dtc(mssBytes, { compete: settings.compete });
    case "copa":
      return new Copa(mssBytes);
    case "cubic":
      return new Cubic(mssBytes);
    case "newreno":
      return new NewReno(mssBytes);
    case "kernel":
      return new Kernel(mssBytes);
    case "fixed":
      return new Fixed(mssBytes, settings.rateBitsPerSecond);
    default:
      return unreachable(settings);
  }
}
