/**
 * What a portal changes on the machine, in order: host routes that keep the outer packets out of
 * the tunnel, then MTU, addresses, up, and the routes into it. Pure; the facts come in.
 */
import { contains, type Prefix, parsePrefix } from "../core/prefix.ts";
import type { HostChange, RouteChange } from "./change.ts";

/** RFC 8200 section 5. */
const IPV6_MTU_MIN = 1280;

export interface HostWish {
  readonly device: string;
  /** Octets. */
  readonly mtu: number;
  readonly addresses: readonly Prefix[];
  /** Networks to be reached through the tunnel. */
  readonly routes: readonly Prefix[];
  /** How the links' remote addresses are reached now. */
  readonly outer: readonly OuterPath[];
  /** The kernel has IPv6. */
  readonly ipv6: boolean;
}

/** How the kernel reaches one address today. */
export interface OuterPath {
  readonly address: Prefix;
  readonly device: string;
  /** Next hop, text; null: the address is a neighbour. */
  readonly via: string | null;
}

export function planHost(wish: HostWish): HostChange[] {
  const { device } = wish;
  const routes = tunnelRoutes(wish);
  return [
    ...outerRoutes(wish.outer, routes),
    // Below this the kernel takes IPv6 off the device, and with it the setting.
    { kind: "link", device, mtu: wish.mtu, ipv6: wish.ipv6 && wish.mtu >= IPV6_MTU_MIN },
    ...wish.addresses.map(
      (address): HostChange => ({ kind: "address", device, address: address.text }),
    ),
    { kind: "up", device },
    ...routes.map((route): HostChange => ({ kind: "route", device, to: route.text })),
  ];
}

/**
 * The routes into the tunnel. What lies in the network of an address of the device has its route
 * already. A default route becomes two halves: it wins over the present one and leaves it alone.
 */
export function tunnelRoutes(wish: Pick<HostWish, "addresses" | "routes">): Prefix[] {
  const halves = wish.routes.flatMap((route) => {
    if (route.bits > 0) return [route];
    const texts = route.family === 4 ? ["0.0.0.0/1", "128.0.0.0/1"] : ["::/1", "8000::/1"];
    return texts.flatMap((text) => parsePrefix(text) ?? []);
  });
  const seen = new Set<string>();
  return halves.filter((route) => {
    const given = wish.addresses.some((address) => contains(address, route));
    const again = seen.has(route.text);
    seen.add(route.text);
    return !given && !again;
  });
}

/**
 * Host routes for remote addresses that a route into the tunnel would swallow. The same address
 * over several devices needs a metric each, or the second `add` is refused.
 */
export function outerRoutes(outer: readonly OuterPath[], routes: readonly Prefix[]): RouteChange[] {
  const found = new Map<string, RouteChange>();
  const ways = new Map<string, number>();
  for (const { address, device, via } of outer) {
    if (!routes.some((route) => contains(route, address))) continue;
    const way = `${address.text} ${via} ${device}`;
    if (found.has(way)) continue;
    const metric = (ways.get(address.text) ?? 0) + 1;
    ways.set(address.text, metric);
    const next = via === null ? {} : { via };
    found.set(way, { kind: "route", device, to: address.text, ...next, metric });
  }
  return [...found.values()];
}
