/**
 * The inner MTU: what the smallest link carries, less what carriage adds when that link falls back
 * to UDP and runs beside others. So a change of transport never shrinks the tunnel: a stream has no size.
 */
import { PACKET_OCTETS_MAX } from "../core/arena.ts";
import { addedOctets } from "../wire/overhead.ts";

/** Links whose MTU nobody said are taken for Ethernet. */
export const LINK_MTU = 1500;

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

/** A Remote Portal does not know its clients' links: the costliest family that it listens on. */
export function listenMtuLinks(listen: readonly string[]): MtuLink[] {
  const v6 = listen.length === 0 || listen.some((text) => text.includes(":"));
  return [{ mtu: LINK_MTU, family: v6 ? 6 : 4 }];
}
