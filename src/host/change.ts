/**
 * One change of the machine as a value: the command that makes it and the one that takes it back.
 * Dry run, apply, undo and cleaning after a killed run all read the same description. Pure.
 *
 * Routes carry a private protocol number, so that they are found again whoever made them.
 */
import { unreachable } from "../core/assert.ts";

/** `proto` of every route of ours; free in iproute2's registry (`rt_protos`). */
export const ROUTE_PROTOCOL = 153;

export type HostChange =
  | {
      readonly kind: "link";
      readonly device: string;
      /** Octets. */
      readonly mtu: number;
      /** The kernel has IPv6: keep it from sending router solicitations into the tunnel. */
      readonly ipv6: boolean;
    }
  | {
      readonly kind: "address";
      readonly device: string;
      /** `10.77.0.1/24` */
      readonly address: string;
    }
  | { readonly kind: "up"; readonly device: string }
  | RouteChange;

export interface RouteChange {
  readonly kind: "route";
  readonly device: string;
  /** `10.0.0.0/8`, canonical. */
  readonly to: string;
  /** Next hop, text; absent: on the link itself. */
  readonly via?: string;
  /** Absent: the kernel's default, 0 with IPv4 and 1024 with IPv6. */
  readonly metric?: number;
}

/** Arguments of `ip` that make the change. */
export function applyCommand(change: HostChange): string[] {
  switch (change.kind) {
    case "link": {
      const quiet = change.ipv6 ? ["addrgenmode", "none"] : [];
      return ["link", "set", "dev", change.device, "mtu", String(change.mtu), ...quiet];
    }
    case "address":
      return ["address", "add", change.address, "dev", change.device];
    case "up":
      return ["link", "set", "dev", change.device, "up"];
    case "route":
      return ["route", "add", ...routeArguments(change)];
    default:
      return unreachable(change);
  }
}

/** Arguments of `ip` that put the route in the place of one with the same destination and metric, if there is one. */
export function replaceCommand(route: RouteChange): string[] {
  return ["route", "replace", ...routeArguments(route)];
}

/** Arguments of `ip` that take the change back; null where it leaves with the TUN device. */
export function undoCommand(change: HostChange): string[] | null {
  switch (change.kind) {
    case "link":
    case "up":
      return null;
    case "address":
      return ["address", "delete", change.address, "dev", change.device];
    case "route":
      return ["route", "delete", ...routeArguments(change)];
    default:
      return unreachable(change);
  }
}

function routeArguments(change: RouteChange): string[] {
  const via = change.via === undefined ? [] : ["via", change.via];
  const metric = change.metric === undefined ? [] : ["metric", String(change.metric)];
  const protocol = ["proto", String(ROUTE_PROTOCOL)];
  return [change.to, ...via, "dev", change.device, ...metric, ...protocol];
}
