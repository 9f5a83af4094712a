/** Addresses of the session tests: a client as the Remote Portal sees it, by each transport. */
import { PATH_OCTETS } from "../../src/core/arena.ts";
import { PATH_AT, type Path } from "../../src/core/path.ts";
import { type Transport, transportNumber } from "../../src/core/transport.ts";

/** A path as the Remote Portal sees a client: 192.0.2.`host`, UDP port `port`. */
export function pathOf(host: number, port = 40000): Path {
  const path = new Uint8Array(PATH_OCTETS);
  path[PATH_AT.family] = 4;
  path[PATH_AT.transport] = 1;
  path.set([port >>> 8, port & 255], PATH_AT.port);
  path.set([192, 0, 2, host], PATH_AT.remote);
  path.set([198, 51, 100, 1], PATH_AT.local);
  return path;
}

/** The same client by another transport; each TCP connection has a port of its own. */
export function byTransport(path: Path, transport: Transport): Path {
  const other = path.slice();
  other[PATH_AT.transport] = transportNumber(transport);
  if (transport === "raw") other.fill(0, PATH_AT.port, PATH_AT.scope);
  if (transport === "tcp") other[PATH_AT.port] = (other[PATH_AT.port] as number) ^ 0x20;
  return other;
}

/** Key of a link and a path's transport. */
export function settledAt(link: number, path: Path): string {
  return `${link} ${path[PATH_AT.transport]}`;
}
