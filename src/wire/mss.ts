/**
 * The maximum segment size that inner TCP connections agree on, held to what the tunnel carries: who
 * opens a connection through it need not learn its MTU from ICMP, which paths often drop (RFC 2923
 * section 2.1). Octets of a packet in a slot, changed in place.
 */
import type { Arena } from "../core/arena.ts";
import { type InnerHeader, PROTOCOL } from "./inner.ts";

/** TCP header (RFC 9293 section 3.1). */
const AT = { dataOffset: 12, flags: 13, checksum: 16, options: 20 } as const;
const SYN = 0x02;
const KIND = { end: 0, noOperation: 1, mss: 2 } as const;
const MSS_OPTION_OCTETS = 4;
/** IP and TCP headers without options: what the MTU has to hold besides a segment. */
const HEADERS_OCTETS = { 4: 40, 6: 60 } as const;

/** Whether a packet is a TCP SYN, told by as few octets as can be: asked of every packet. */
export function isSyn({ octets, start, length }: Arena, slot: number): boolean {
  const at = start[slot] as number;
  const first = octets[at] as number;
  const v4 = first >> 4 === 4;
  if (octets[at + (v4 ? 9 : 6)] !== PROTOCOL.tcp) return false;
  const flagsAt = (v4 ? (first & 15) * 4 : 40) + AT.flags;
  return flagsAt < (length[slot] as number) && ((octets[at + flagsAt] as number) & SYN) !== 0;
}

/** Lowers the MSS of a SYN that promises more than `mtu` octets carry; true: it did. */
export function clampMss(arena: Arena, slot: number, header: InnerHeader, mtu: number): boolean {
  const { version, protocol, transportAt } = header;
  if (protocol !== PROTOCOL.tcp || transportAt === 0 || version === 0) return false;
  const { octets } = arena;
  const end = (arena.start[slot] as number) + (arena.length[slot] as number);
  if (transportAt + AT.options > end) return false;
  if (((octets[transportAt + AT.flags] as number) & SYN) === 0) return false;
  const at = mssAt(octets, transportAt, end);
  const most = mtu - HEADERS_OCTETS[version];
  if (at < 0 || arena.view.getUint16(at) <= most) return false;
  const before = arena.view.getUint16(at);
  arena.view.setUint16(at, most);
  const odd = (at - transportAt) % 2 === 1;
  const checksumAt = transportAt + AT.checksum;
  const sum = arena.view.getUint16(checksumAt);
  const after = odd ? adjusted(sum, swapped(before), swapped(most)) : adjusted(sum, before, most);
  arena.view.setUint16(checksumAt, after);
  return true;
}

/** Where the value of the MSS option stands; -1: there is none. */
function mssAt(octets: Uint8Array, transportAt: number, packetEnd: number): number {
  const headerOctets = ((octets[transportAt + AT.dataOffset] as number) >> 4) * 4;
  const end = Math.min(transportAt + headerOctets, packetEnd);
  let at = transportAt + AT.options;
  while (at < end) {
    const kind = octets[at] as number;
    if (kind === KIND.end) return -1;
    if (kind === KIND.noOperation) {
      at += 1;
      continue;
    }
    const length = at + 1 < end ? (octets[at + 1] as number) : 0;
    if (length < 2 || at + length > end) return -1;
    if (kind === KIND.mss) return length === MSS_OPTION_OCTETS ? at + 2 : -1;
    at += length;
  }
  return -1;
}

/** A one's complement checksum after one 16-bit word has changed (RFC 1624, equation 3). */
function adjusted(checksum: number, before: number, after: number): number {
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** A value at an odd offset lies across two words, which is its octets swapped in the sum (RFC 1071). */
function swapped(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
