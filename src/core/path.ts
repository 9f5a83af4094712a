/**
 * A path address: both ends of a path as the kernel names them, in PATH_OCTETS octets, so that it
 * can travel with a slot and be compared octet by octet.
 *
 *    0        family, 4 or 6
 *    1        transport: 0 raw IP, 1 UDP, 2 TCP
 *    2..3     remote UDP or TCP port, network byte order (0 for raw)
 *    4..7     interface index of a link-local remote address, else 0, host byte order
 *    8..23    remote address (IPv4 in the first four octets, rest 0)
 *    24..39   local address the packet arrived at (same form; all 0 when unknown)
 */
import { Address6 } from "ip-address";
import { PATH_OCTETS } from "./arena.ts";

export const PATH_AT = {
  family: 0,
  transport: 1,
  port: 2,
  scope: 4,
  remote: 8,
  local: 24,
} as const;

export type Path = Uint8Array;

export function samePath(a: Path, b: Path): boolean {
  for (let index = 0; index < PATH_OCTETS; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

/** `192.0.2.1:5253`, `[2001:db8::1]:5253`; without the port for raw IP. For logs and status. */
export function pathText(path: Path): string {
  const port = ((path[PATH_AT.port] as number) << 8) | (path[PATH_AT.port + 1] as number);
  const address = addressText(path[PATH_AT.family] === 6, path.subarray(PATH_AT.remote));
  if (path[PATH_AT.transport] === 0) return address;
  return path[PATH_AT.family] === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The remote address of a path without its port, text. */
export function hostText(path: Path): string {
  return addressText(path[PATH_AT.family] === 6, path.subarray(PATH_AT.remote));
}

/** The local address of a path, text. */
export function localText(path: Path): string {
  return addressText(path[PATH_AT.family] === 6, path.subarray(PATH_AT.local));
}

function addressText(v6: boolean, octets: Uint8Array): string {
  if (!v6) return octets.subarray(0, 4).join(".");
  return Address6.fromByteArray(Array.from(octets.subarray(0, 16))).correctForm();
}
