/**
 * The answer to an inner packet that is too long for the tunnel: ICMP "fragmentation needed" (RFC 792, RFC 1191) or
 * ICMPv6 "packet too big" (RFC 4443 section 3.2), as a router would send it.
 *
 * Its source is the packet's own destination. It goes to the local kernel through the TUN, and there an address
 * of this machine would be taken for a forgery (a martian), while the destination is by definition what the
 * kernel routes to the TUN, so that reverse path filters let it in.
 */
import { type Arena, SLOT_HEADROOM, SLOT_SIZE } from "../core/arena.ts";
import { foldChecksum, sumWords } from "./checksum.ts";
import { ipVersion, PROTOCOL } from "./inner.ts";

const IPV4_HEADER_OCTETS = 20;
const IPV6_HEADER_OCTETS = 40;
const ICMP_HEADER_OCTETS = 8;
/** The whole answer (RFC 1812 section 4.3.2.3; RFC 4443 section 2.4). */
const ANSWER_OCTETS_MAX = { 4: 576, 6: 1280 } as const;
/** No link that carries IPv6 has a smaller one (RFC 8200 section 5). */
const IPV6_MTU_MIN = 1280;
const HOPS = 64;
/** Internetwork control, as routers mark what they say (RFC 1812 section 4.3.2.5). */
const TRAFFIC_CLASS = 0xc0;
const UNREACHABLE = { type: 3, fragmentationNeeded: 4 } as const;
const PACKET_TOO_BIG = 2;
/** Types that are errors themselves: an error is never answered by another (RFC 1122 section 3.2.2). */
const IPV4_ERRORS: readonly number[] = [3, 4, 5, 11, 12];
/** ICMPv6: below this they are; and a redirect is none to answer either (RFC 4443 section 2.4). */
const IPV6_INFORMATIONAL = 128;
const IPV6_REDIRECT = 137;
/** Extension headers that are walked to the upper layer, and how many at most. */
const EXTENSIONS: readonly number[] = [0, 43, 60];
const EXTENSIONS_MAX = 8;
const FRAGMENT_HEADER = 44;

/**
 * Writes into the free slot `into` the answer to the packet in `slot`, which is left as it is. `mtu`: the longest
 * packet that would have been carried. False: such a packet must not be answered, or nothing would help.
 */
export function writeTooBig(arena: Arena, slot: number, into: number, mtu: number): boolean {
  const version = ipVersion(arena, slot);
  if (version === 4 && isAnswerable4(arena, slot)) writeIcmp4(arena, slot, into, mtu);
  else if (version === 6 && isAnswerable6(arena, slot)) {
    writeIcmp6(arena, slot, into, Math.max(mtu, IPV6_MTU_MIN));
  } else return false;
  return true;
}

function isAnswerable4(arena: Arena, slot: number): boolean {
  const { octets, view } = arena;
  const at = arena.start[slot] as number;
  if (!isHost4(octets[at + 12] as number, view.getUint32(at + 12))) return false;
  if (!isHost4(octets[at + 16] as number, view.getUint32(at + 16))) return false;
  if ((view.getUint16(at + 6) & 0x1fff) !== 0) return false;
  if (octets[at + 9] !== PROTOCOL.icmp) return true;
  const type = octets[at + ((octets[at] as number) & 15) * 4] as number;
  return !IPV4_ERRORS.includes(type);
}

/** Neither this network, loopback, multicast, reserved nor broadcast. */
function isHost4(first: number, address: number): boolean {
  return first !== 0 && first !== 127 && first < 224 && address !== 0;
}

function isAnswerable6(arena: Arena, slot: number): boolean {
  const at = arena.start[slot] as number;
  if ((arena.length[slot] as number) <= IPV6_MTU_MIN) return false;
  if (!isHost6(arena, at + 8) || !isHost6(arena, at + 24)) return false;
  return !carriesError6(arena, slot);
}

/** Neither multicast, unspecified nor loopback. */
function isHost6({ octets, view }: Arena, at: number): boolean {
  if (octets[at] === 0xff) return false;
  const upper = view.getUint32(at) | view.getUint32(at + 4) | view.getUint32(at + 8);
  return upper !== 0 || view.getUint32(at + 12) > 1;
}

/** It is an ICMPv6 error, or a later fragment, of which nobody can tell. */
function carriesError6(arena: Arena, slot: number): boolean {
  const { octets, view } = arena;
  const at = arena.start[slot] as number;
  const end = at + (arena.length[slot] as number);
  let next = octets[at + 6] as number;
  let offset = at + IPV6_HEADER_OCTETS;
  for (let walked = 0; walked < EXTENSIONS_MAX; walked += 1) {
    if (offset + 8 > end) return true;
    if (next === FRAGMENT_HEADER) {
      if ((view.getUint16(offset + 2) & 0xfff8) !== 0) return true;
      next = octets[offset] as number;
      offset += 8;
    } else if (EXTENSIONS.includes(next)) {
      next = octets[offset] as number;
      offset += ((octets[offset + 1] as number) + 1) * 8;
    } else break;
  }
  if (next !== PROTOCOL.icmp6) return EXTENSIONS.includes(next);
  const type = octets[offset] as number;
  return offset >= end || type < IPV6_INFORMATIONAL || type === IPV6_REDIRECT;
}

function writeIcmp4(arena: Arena, slot: number, into: number, mtu: number): void {
  const { octets, view } = arena;
  const headers = IPV4_HEADER_OCTETS + ICMP_HEADER_OCTETS;
  const at = quote(arena, slot, into, headers, ANSWER_OCTETS_MAX[4]);
  const from = arena.start[slot] as number;
  const end = at + (arena.length[into] as number);
  octets.fill(0, at, at + headers);
  octets[at] = 0x45;
  octets[at + 1] = TRAFFIC_CLASS;
  view.setUint16(at + 2, end - at);
  octets[at + 8] = HOPS;
  octets[at + 9] = PROTOCOL.icmp;
  octets.copyWithin(at + 12, from + 16, from + 20);
  octets.copyWithin(at + 16, from + 12, from + 16);
  view.setUint16(at + 10, foldChecksum(sumWords(octets, at, at + IPV4_HEADER_OCTETS, 0)));
  const icmp = at + IPV4_HEADER_OCTETS;
  octets[icmp] = UNREACHABLE.type;
  octets[icmp + 1] = UNREACHABLE.fragmentationNeeded;
  view.setUint16(icmp + 6, mtu);
  view.setUint16(icmp + 2, foldChecksum(sumWords(octets, icmp, end, 0)));
}

function writeIcmp6(arena: Arena, slot: number, into: number, mtu: number): void {
  const { octets, view } = arena;
  const headers = IPV6_HEADER_OCTETS + ICMP_HEADER_OCTETS;
  const at = quote(arena, slot, into, headers, ANSWER_OCTETS_MAX[6]);
  const from = arena.start[slot] as number;
  const end = at + (arena.length[into] as number);
  const icmp = at + IPV6_HEADER_OCTETS;
  octets.fill(0, at, at + headers);
  view.setUint16(at, 0x6000 | (TRAFFIC_CLASS << 4));
  view.setUint16(at + 4, end - icmp);
  octets[at + 6] = PROTOCOL.icmp6;
  octets[at + 7] = HOPS;
  octets.copyWithin(at + 8, from + 24, from + 40);
  octets.copyWithin(at + 24, from + 8, from + 24);
  octets[icmp] = PACKET_TOO_BIG;
  view.setUint32(icmp + 4, mtu);
  // The pseudo-header of RFC 8200 section 8.1: both addresses, length, next header.
  const pseudo = sumWords(octets, at + 8, icmp, end - icmp + PROTOCOL.icmp6);
  view.setUint16(icmp + 2, foldChecksum(sumWords(octets, icmp, end, pseudo)));
}

/** Copies as much of the packet as the answer may hold behind its headers; returns where the answer begins. */
function quote(arena: Arena, slot: number, into: number, headers: number, most: number): number {
  const from = arena.start[slot] as number;
  const quoted = Math.min(arena.length[slot] as number, most - headers);
  const at = into * SLOT_SIZE + SLOT_HEADROOM;
  arena.octets.copyWithin(at + headers, from, from + quoted);
  arena.start[into] = at;
  arena.length[into] = headers + quoted;
  return at;
}
