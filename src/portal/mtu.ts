/**
 * The inner MTU: what the smallest link carries, less what carriage adds when that link falls back
 * to UDP, if it may, and runs beside others. So a change of transport never shrinks the tunnel: a stream has no size.
 * At the start it is reckoned from what devices carry; what paths carry is found out later (`path-sizes.ts`).
 */
import { PACKET_OCTETS_MAX } from "../core/arena.ts";
import type { Transport } from "../core/transport.ts";
import type { Link } from "../link/link.ts";
import { FRAGMENT_MTU_MIN } from "../wire/fragment.ts";
import { addedOctets } from "../wire/overhead.ts";
import { PREAMBLE_ORDERED_OCTETS } from "../wire/preamble.ts";

/** Links whose MTU nobody said are taken for Ethernet. */
export const LINK_MTU = 1500;

export interface MtuLink {
  /** What the link's path carries, outer header included. */
  readonly mtu: number;
  readonly family: 4 | 6;
  /** What may carry it. */
  readonly transports: readonly Transport[];
}

export function innerMtu(links: readonly MtuLink[], tagOctets: number): number {
  const sizes = links.map(({ mtu, family, transports }) => {
    const transport = transports.every((one) => one === "raw") ? "raw" : "udp";
    return mtu - addedOctets({ transport, family, tagOctets }, true);
  });
  return Math.min(PACKET_OCTETS_MAX, ...sizes);
}

/** A Remote Portal does not know its clients' links: the costliest family that it listens on. */
export function listenMtuLinks(
  listen: readonly string[],
  transports: readonly Transport[],
): MtuLink[] {
  const v6 = listen.length === 0 || listen.some((text) => text.includes(":"));
  return [{ mtu: LINK_MTU, family: v6 ? 6 : 4, transports }];
}

/** What no link that carries IPv6 may be short of (RFC 8200 section 5). */
const IPV6_MTU_MIN = 1280;

/** The longest inner packet in a message of `messageOctets`, preamble to tag. */
export function roomFor(messageOctets: number, tagOctets: number): number {
  return messageOctets - PREAMBLE_ORDERED_OCTETS - tagOctets;
}

/** The longest IP packet that an inner packet of `mtu` octets becomes. */
export function outerMtu(mtu: number, tagOctets: number, family: 4 | 6): number {
  return mtu + addedOctets({ transport: "udp", family, tagOctets }, true);
}

/**
 * The inner MTU that the links of a bond stand for now: the least that any carries which is not down. A link that carries
 * less than 1280 does not count where another carries more: it takes what fits it.
 *
 * @param before - the answer as long as no link is up
 */
export function tightest(before: number, tunMtu: number, links: readonly Link[]): number {
  let least = Number.POSITIVE_INFINITY;
  let narrow = Number.POSITIVE_INFINITY;
  let live = false;
  for (let index = 0; index < links.length; index += 1) {
    const { life, maxInnerOctets } = links[index] as Link;
    if (life.tag === "down" || life.tag === "connecting") continue;
    const room = Math.min(maxInnerOctets, tunMtu);
    live = true;
    if (room >= IPV6_MTU_MIN) least = Math.min(least, room);
    else narrow = Math.min(narrow, room);
  }
  if (!live) return before;
  return Math.max(
    Math.min(least < Number.POSITIVE_INFINITY ? least : narrow, tunMtu),
    FRAGMENT_MTU_MIN,
  );
}
