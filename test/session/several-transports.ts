/**
 * Worlds whose links have every transport, and what the tests ask them: by which transport each portal talks, what was
 * sent by which, and which ways to block so that a transport is dead.
 */
import { PATH_AT, type Path } from "../../src/core/path.ts";
import { SECOND } from "../../src/core/time.ts";
import { TRANSPORTS, type Transport, transportOf } from "../../src/core/transport.ts";
import { typeOf } from "./network.ts";
import { World, type WorldOptions } from "./world.ts";

export const transportAt = (path: Path) => transportOf(path[PATH_AT.transport] as number);

/** By which transport the Remote Portal talks to the link. */
export const homeOf = (world: World, link = 0): Transport | undefined => {
  const path = world.portalHost.attached.get(`0 ${link}`)?.path;
  return path == null ? undefined : transportAt(path);
};

/** By which transport the client sends on the link. */
export const carriedBy = (world: World, link = 0) =>
  world.clientHost.attached.get(`0 ${link}`)?.transport;

/** One link with every transport, unless told otherwise; nothing passes the ways in `blocked`. */
export function worldOf(blocked: readonly string[], options: WorldOptions = {}): World {
  const world = new World({ links: 1, transports: TRANSPORTS, ...options });
  for (const way of blocked) world.blocked.add(way);
  return world;
}

/** As `worldOf`, attached and at rest. */
export function connected(blocked: readonly string[] = [], options: WorldOptions = {}): World {
  const world = worldOf(blocked, options);
  world.connect();
  world.runUntil(() => world.allAttached, 10 * SECOND);
  world.run(2 * SECOND);
  return world;
}

/** Messages of a type that were sent, in one direction, by one transport or all. */
export const countOf = (world: World, type: number, up: boolean, transport?: Transport) =>
  world.wire.filter(
    (sent) =>
      sent.up === up &&
      typeOf(sent.octets) === type &&
      (transport === undefined || transportAt(sent.path) === transport),
  ).length;

/** The ways of link 0 by these transports, both directions. */
export const dead = (...transports: Transport[]) =>
  transports.flatMap((transport) => [`up 0 ${transport}`, `down 0 ${transport}`]);
