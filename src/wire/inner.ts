/**
 * A peek at an inner IP packet: what the bond must know of a packet it carries and never changes.
 * IPv4 (RFC 791) and IPv6 (RFC 8200); extension headers are not walked: such packets form one flow
 * a pair of addresses and next header.
 */
import type { Arena } from "../core/arena.ts";

const IPV4_HEADER_OCTETS = 20;
const IPV6_HEADER_OCTETS = 40;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

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
  return (arena.start[slot] as number) + (version === 4 ? 12 : 8);
}

export function destinationAt(arena: Arena, slot: number, version: 4 | 6): number {
  return (arena.start[slot] as number) + (version === 4 ? 16 : 24);
}

/**
 * 16 bits that are equal for all packets of one flow: addresses, protocol, and the ports of
 * unfragmented TCP and UDP.
 */
export function flowHash(arena: Arena, slot: number, version: 4 | 6): number {
  const { view } = arena;
  const at = arena.start[slot] as number;
  const words = version === 4 ? 2 : 8;
  const addressesAt = sourceAt(arena, slot, version);
  let hash = 0x811c_9dc5;
  for (let index = 0; index < words; index += 1) {
    hash = Math.imul(hash ^ view.getUint32(addressesAt + 4 * index), 0x0100_0193);
    hash ^= hash >>> 15;
  }
  const protocol = view.getUint8(at + (version === 4 ? 9 : 6));
  hash = Math.imul(hash ^ protocol, 0x0100_0193);
  const portsAt = portsOffset(arena, slot, version, protocol);
  if (portsAt > 0) hash = Math.imul(hash ^ view.getUint32(at + portsAt), 0x85eb_ca6b);
  return (hash ^ (hash >>> 16)) & 0xffff;
}

/** Where the ports are, 0 when there are none to be trusted (another protocol, a fragment). */
function portsOffset(arena: Arena, slot: number, version: 4 | 6, protocol: number): number {
  if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) return 0;
  const at = arena.start[slot] as number;
  let offset = IPV6_HEADER_OCTETS;
  if (version === 4) {
    if ((arena.view.getUint16(at + 6) & 0x3fff) !== 0) return 0;
    offset = (arena.view.getUint8(at) & 15) * 4;
  }
  return offset + 4 <= (arena.length[slot] as number) ? offset : 0;
}
