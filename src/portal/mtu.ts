/**
 * The inner MTU: what the smallest link carries, less what carriage adds when that link falls back
 * to UDP and runs beside others. So a change of transport never shrinks the tunnel.
 */
import { PACKET_OCTETS_MAX } from "../core/arena.ts";
import { addedOctets } from "../wire/overhead.ts";

/** Octets of tag and, with encryption, of a longer one. */
export interface MtuLink {
  /** What the link's path carries, outer header included. */
  readonly mtu: number;
  readonly family: 4 | 6;
}

export function innerMtu(links: readonly MtuLink[], tagOctets: number): number {
  const sizes = links.map(
    ({ mtu, family }) => mtu - addedOctets({ transport: "udp", family, tagOctets }, true),
  );
  return Math.min(PACKET_OCTETS_MAX, ...sizes);
}
