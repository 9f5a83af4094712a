/**
 * What of our changes the machine shows: the answers of `ip -json` to values, and which recorded
 * changes are still there. Pure; `host.ts` asks the questions.
 */
import { type Prefix, parseAddress, parsePrefix } from "../core/prefix.ts";
import { type HostChange, ROUTE_PROTOCOL, type RouteChange } from "./change.ts";
import type { OuterPath } from "./plan.ts";

/** The part of a machine's state that a portal may have changed. */
export interface Machine {
  /** Addresses as `device address/length`. */
  readonly addresses: ReadonlySet<string>;
  /** Routes with our protocol number in the main table. */
  readonly routes: readonly RouteChange[];
  readonly devices: ReadonlySet<string>;
}

type Json = Readonly<Record<string, unknown>>;

/** @param address - answer to `ip -json address show`, `routes` to `ip -json -4/-6 route show proto N` */
export function readMachine(address: unknown, routes: readonly unknown[]): Machine {
  const devices = rows(address);
  const addresses = devices.flatMap((device) =>
    rows(device["addr_info"]).flatMap((info) => {
      const address = parsePrefix(`${info["local"]}/${info["prefixlen"]}`);
      return address === null ? [] : [`${device["ifname"]} ${address.text}`];
    }),
  );
  return {
    addresses: new Set(addresses),
    routes: routes.flatMap((list) => rows(list).flatMap(routeOf)),
    devices: new Set(devices.map((device) => String(device["ifname"]))),
  };
}

/** The changes that the machine still shows and that can be taken back, in the order given. */
export function remaining(changes: readonly HostChange[], machine: Machine): HostChange[] {
  return changes.filter((change) => {
    switch (change.kind) {
      case "address":
        return machine.addresses.has(`${change.device} ${change.address}`);
      case "route":
        return machine.routes.some((route) => sameRoute(route, change));
      default:
        return false;
    }
  });
}

/**
 * The answer to `ip -json route get`: null where no route of ours may interfere, that is for
 * addresses of this machine and for paths that a rule sends through another table than main.
 */
export function readOuterPath(address: Prefix, answer: unknown): OuterPath | null {
  const [route] = rows(answer);
  if (route === undefined || route["table"] !== undefined) return null;
  if (route["type"] !== undefined && route["type"] !== "unicast") return null;
  const device = route["dev"];
  if (typeof device !== "string") return null;
  return { address, device, via: nextHop(route) ?? null };
}

/**
 * Of the answers to `ip -json route show match ADDRESS`, the way past a tunnel: neither by its device nor by a
 * route that portals made; null without any. `bound`: the only device that counts.
 */
export function readWayBeside(
  address: Prefix,
  answer: unknown,
  tunnel: string,
  bound: string | undefined,
): OuterPath | null {
  const ways = rows(answer).flatMap((row): { path: OuterPath; rank: readonly number[] }[] => {
    const { dev, type, flags, protocol, metric } = row;
    const dead = Array.isArray(flags) && (flags.includes("dead") || flags.includes("linkdown"));
    const own = dev === tunnel || protocol === String(ROUTE_PROTOCOL);
    if (typeof dev !== "string" || type !== undefined || dead || own) return [];
    if (bound !== undefined && dev !== bound) return [];
    const bits = row["dst"] === "default" ? 0 : (parsePrefix(String(row["dst"]))?.bits ?? 0);
    const rank = [-bits, typeof metric === "number" ? metric : 0];
    return [{ path: { address, device: dev, via: nextHop(row) ?? null }, rank }];
  });
  // The longest prefix, then the smallest metric, as the kernel chooses.
  ways.sort(
    (a, b) => Number(a.rank[0]) - Number(b.rank[0]) || Number(a.rank[1]) - Number(b.rank[1]),
  );
  return ways[0]?.path ?? null;
}

function routeOf(row: Json): RouteChange[] {
  const to = parsePrefix(String(row["dst"]));
  if (to === null || typeof row["dev"] !== "string") return [];
  const via = nextHop(row);
  const metric = row["metric"];
  return [
    {
      kind: "route",
      device: row["dev"],
      to: to.text,
      ...(via === undefined ? {} : { via }),
      ...(typeof metric === "number" ? { metric } : {}),
    },
  ];
}

/** The kernel fills a metric in where none was given. */
function sameRoute(shown: RouteChange, made: RouteChange): boolean {
  const metric = made.metric === undefined || made.metric === shown.metric;
  return shown.to === made.to && shown.device === made.device && shown.via === made.via && metric;
}

/** An IPv4 route may have an IPv6 next hop; `ip` then names it elsewhere and in two words. */
function nextHop(row: Json): string | undefined {
  const gateway = row["gateway"];
  if (typeof gateway === "string") return parseAddress(gateway) === null ? undefined : gateway;
  const via = row["via"] as Json | undefined;
  const host = via?.["host"];
  return typeof host === "string" && parseAddress(host) !== null ? `inet6 ${host}` : undefined;
}

function rows(value: unknown): Json[] {
  if (!Array.isArray(value)) return [];
  return value.filter((row) => typeof row === "object" && row !== null);
}
