/**
 * What carries a link's messages to the peer under one set of keys: for each transport a transmit
 * context and, once it is known, a route; and which of them carries DATA now.
 */
import { PATH_AT, type Path, samePath } from "../core/path.ts";
import { type Transport, transportNumber, transportOf } from "../core/transport.ts";
import type { Handle } from "../native/native.ts";

/** Where the messages of one transport go. */
export interface Route {
  readonly socket: Handle;
  readonly transport: Transport;
  readonly family: 4 | 6;
  /** Null on a connected socket. */
  readonly path: Path | null;
}

/** Transmit contexts by transport number. */
export type Transmits = readonly [raw: number, udp: number, tcp: number];

export class Carrier {
  readonly context: number;
  readonly transmits: Transmits;
  /** Octets of a DATA tag. */
  readonly tagOctets: number;
  /** By transport number. */
  readonly #routes: (Route | undefined)[] = [undefined, undefined, undefined];
  /** Carries DATA and what goes with it. */
  #current: Transport;

  constructor(context: number, transmits: Transmits, tagOctets: number, current: Transport) {
    this.context = context;
    this.transmits = transmits;
    this.tagOctets = tagOctets;
    this.#current = current;
  }

  get transport(): Transport {
    return this.#current;
  }

  /** The transmit context of DATA. */
  get transmit(): number {
    return this.transmitOf(this.#current);
  }

  /** Where DATA goes; undefined: nowhere, the socket is gone. */
  get route(): Route | undefined {
    return this.routeOf(this.#current);
  }

  routeOf(transport: Transport): Route | undefined {
    return this.#routes[transportNumber(transport)];
  }

  transmitOf(transport: Transport): number {
    return this.transmits[transportNumber(transport)] as number;
  }

  /** Everything of this transport goes along `route` already. */
  has(route: Route): boolean {
    const known = this.routeOf(route.transport);
    return known !== undefined && sameRoute(known, route);
  }

  setRoute(transport: Transport, route: Route | undefined): void {
    this.#routes[transportNumber(transport)] = route;
  }

  use(transport: Transport): void {
    this.#current = transport;
  }

  /** Takes over where everything goes from the carrier before, under new keys. */
  inherit(before: Carrier): void {
    for (const [number, route] of before.#routes.entries()) this.#routes[number] = route;
    this.#current = before.#current;
  }

  get routes(): readonly Route[] {
    return this.#routes.filter((route) => route !== undefined);
  }
}

/** The same socket to the same address. */
export function sameRoute(a: Route, b: Route): boolean {
  if (a.socket !== b.socket) return false;
  if (a.path === null || b.path === null) return a.path === b.path;
  return samePath(a.path, b.path);
}

/** Transport and family of a path; undefined: a transport that this version does not know. */
export function kindOf(path: Path): { transport: Transport; family: 4 | 6 } | undefined {
  const transport = transportOf(path[PATH_AT.transport] as number);
  const family = path[PATH_AT.family] === 6 ? 6 : 4;
  return transport === undefined ? undefined : { transport, family };
}
