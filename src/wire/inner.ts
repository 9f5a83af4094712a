/**
 * A look at an inner IP packet: what the bond must know of a packet it carries, and the one thing it
 * changes, the ECN field. IPv4 (RFC 791) and IPv6 (RFC 8200); extension headers are not walked: such
 * packets form one flow a pair of addresses, next header and flow label.
 */
import type { Arena } from "../core/arena.ts";

const IPV4_HEADER_OCTETS = 20;
const IPV6_HEADER_OCTETS = 40;
/** Octets from the destination's end back to the start of the source: two addresses. */
const IPV4_ADDRESSES_AT = 12;
const IPV6_ADDRESSES_AT = 8;

/** IP protocol numbers (IANA) that mean something here. */
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, esp: 50, icmp6: 58, sctp: 132 } as const;

/** ECN field, the low two bits of the traffic class (RFC 3168 section 5). */
export const ECN = { notEct: 0, ect1: 1, ect0: 2, ce: 3 } as const;

/** What `readInner` found; meant to be used again for the next packet. */
export class InnerHeader {
  /** 4 or 6; 0: neither, or shorter than its header, and then nothing else is set. */
  version: 4 | 6 | 0 = 0;
  /** DSCP and ECN. */
  trafficClass = 0;
  protocol = 0;
  /** Offset of the transport header in the arena's octets; 0: a fragment, or not all of it there. */
  transportAt = 0;
  /** 16 bits that are equal for all packets of one flow. */
  flow = 0;
}

/** 4 or 6, or 0 when the packet is neither or shorter than its header. */
export function ipVersion(arena: Arena, slot: number): 4 | 6 | 0 {
  const length = arena.length[slot] as number;
  const version = (arena.octets[arena.start[slot] as number] as number) >> 4;
  if (version === 4 && length >= IPV4_HEADER_OCTETS) return 4;
  if (version === 6 && length >= IPV6_HEADER_OCTETS) return 6;
  return 0;
}

/** Offset of the source address in the arena's octets; the destination follows it. */
export function sourceAt(arena: Arena, slot: number, version: 4 | 6): number {
  return (arena.start[slot] as number) + (version === 4 ? IPV4_ADDRESSES_AT : IPV6_ADDRESSES_AT);
}

export function destinationAt(arena: Arena, slot: number, version: 4 | 6): number {
  return (arena.start[slot] as number) + (version === 4 ? 16 : 24);
}

/** Fills `into` from the packet in `slot`. */
export function readInner(arena: Arena, slot: number, into: InnerHeader): void {
  const version = ipVersion(arena, slot);
  into.version = version;
  into.trafficClass = 0;
  into.protocol = 0;
  into.transportAt = 0;
  into.flow = 0;
  if (version === 0) return;
  const { octets } = arena;
  const at = arena.start[slot] as number;
  const second = octets[at + 1] as number;
  const protocol = octets[at + (version === 4 ? 9 : 6)] as number;
  const transportAt = transportOf(arena, slot, version);
  into.protocol = protocol;
  into.transportAt = transportAt;
  into.trafficClass = version === 4 ? second : (((octets[at] as number) & 15) << 4) | (second >> 4);
  into.flow = hashOf(arena, at, version, protocol, transportAt);
}

/**
 * 16 bits that are equal for all packets of one flow: addresses, protocol, and the ports of
 * unfragmented TCP, UDP and SCTP, the SPI of ESP; without those the flow label of IPv6 (RFC 6437).
 */
export function flowHash(arena: Arena, slot: number, version: 4 | 6): number {
  const at = arena.start[slot] as number;
  const protocol = arena.octets[at + (version === 4 ? 9 : 6)] as number;
  return hashOf(arena, at, version, protocol, transportOf(arena, slot, version));
}

function hashOf(
  arena: Arena,
  at: number,
  version: 4 | 6,
  protocol: number,
  transportAt: number,
): number {
  const { view } = arena;
  const words = version === 4 ? 2 : 8;
  const addressesAt = at + (version === 4 ? IPV4_ADDRESSES_AT : IPV6_ADDRESSES_AT);
  let hash = 0x811c_9dc5;
  for (let index = 0; index < words; index += 1) {
    hash = Math.imul(hash ^ view.getUint32(addressesAt + 4 * index), 0x0100_0193);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ protocol, 0x0100_0193);
  if (transportAt > 0 && hasPorts(protocol)) {
    hash = Math.imul(hash ^ view.getUint32(transportAt), 0x85eb_ca6b);
  } else if (version === 6) {
    hash = Math.imul(hash ^ (view.getUint32(at) & 0xf_ffff), 0x85eb_ca6b);
  }
  return (hash ^ (hash >>> 16)) & 0xffff;
}

/** Whether the first four octets of the transport header tell flows apart. */
function hasPorts(protocol: number): boolean {
  return (
    protocol === PROTOCOL.tcp ||
    protocol === PROTOCOL.udp ||
    protocol === PROTOCOL.esp ||
    protocol === PROTOCOL.sctp
  );
}

/** Where the transport header is, 0 when it is not to be trusted (a fragment) or not there. */
function transportOf(arena: Arena, slot: number, version: 4 | 6): number {
  const at = arena.start[slot] as number;
  let offset = IPV6_HEADER_OCTETS;
  if (version === 4) {
    if ((arena.view.getUint16(at + 6) & 0x3fff) !== 0) return 0;
    offset = ((arena.octets[at] as number) & 15) * 4;
  }
  return offset + 4 <= (arena.length[slot] as number) ? at + offset : 0;
}

/**
 * Marks a packet "congestion experienced" if its sender understands that; false: it does not (or
 * this is no IP packet), and nothing was changed. RFC 3168 section 5.
 */
export function markCe(arena: Arena, slot: number): boolean {
  const version = ipVersion(arena, slot);
  if (version === 0) return false;
  const { octets, view } = arena;
  const at = arena.start[slot] as number;
  const shift = version === 4 ? 0 : 4;
  const second = octets[at + 1] as number;
  const ecn = (second >> shift) & ECN.ce;
  if (ecn === ECN.notEct) return false;
  if (ecn === ECN.ce) return true;
  const before = view.getUint16(at);
  octets[at + 1] = second | (ECN.ce << shift);
  if (version === 4) updateChecksum(view, at + 10, before, view.getUint16(at));
  return true;
}

/** RFC 1624, equation 3: HC' = ~(~HC + ~m + m') in one's complement. */
function updateChecksum(view: DataView, at: number, before: number, after: number): void {
  let sum = (~view.getUint16(at) & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at, ~sum & 0xffff);
}
