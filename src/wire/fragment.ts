/**
 * Cuts an IPv4 packet that may be cut into fragments, as a router does (RFC 791 section 2.3 and 3.2). A packet may be
 * a fragment already. The first fragment keeps all options, the others those that say they are to be copied.
 */
import { type Arena, SLOT_HEADROOM, SLOT_SIZE } from "../core/arena.ts";
import { foldChecksum, sumWords } from "./checksum.ts";
import { ipVersion } from "./inner.ts";

const HEADER_OCTETS = 20;
const HEADER_OCTETS_MAX = 60;
const UNIT_OCTETS = 8;
const FLAG = { dontFragment: 0x4000, moreFragments: 0x2000 } as const;
const OFFSET_MASK = 0x1fff;
/** What a total length can say. */
const PACKET_OCTETS_MAX = 0xffff;
const OPTION = { end: 0, noOperation: 1, copied: 0x80 } as const;

/** The least that a link may carry (RFC 791), and with it the most pieces of the longest packet in a slot. */
export const FRAGMENT_MTU_MIN = 576;
export const FRAGMENTS_MAX = 4;

/** Whether routers may cut the packet: it is IPv4 and its sender did not forbid it. */
export function mayFragment(arena: Arena, slot: number): boolean {
  if (ipVersion(arena, slot) !== 4) return false;
  return (arena.view.getUint16((arena.start[slot] as number) + 6) & FLAG.dontFragment) === 0;
}

/**
 * Cuts the packet in `slot`, which keeps the first piece; the others get slots of their own, all of them listed in
 * `into`, in order. `mtu` is FRAGMENT_MTU_MIN or more.
 *
 * @returns how many there are; 0: the packet is malformed or slots are short, and nothing was changed
 */
export function fragment(arena: Arena, slot: number, mtu: number, into: Int32Array): number {
  const at = arena.start[slot] as number;
  const headerOctets = ((arena.octets[at] as number) & 15) * 4;
  const total = arena.view.getUint16(at + 2);
  if (headerOctets < HEADER_OCTETS || headerOctets > total) return 0;
  if (total > (arena.length[slot] as number)) return 0;
  const first = Math.floor((mtu - headerOctets) / UNIT_OCTETS) * UNIT_OCTETS;
  const payload = total - headerOctets;
  if (payload <= first) return 0;
  const flags = arena.view.getUint16(at + 6);
  // It would end behind the longest packet, and offsets run into flags (RFC 791 section 3.2).
  if (headerOctets + (flags & OFFSET_MASK) * UNIT_OCTETS + payload > PACKET_OCTETS_MAX) return 0;
  const later = laterHeader(arena.octets, at, headerOctets);
  const step = Math.floor((mtu - later.length) / UNIT_OCTETS) * UNIT_OCTETS;
  const count = 1 + Math.ceil((payload - first) / step);
  if (count > FRAGMENTS_MAX || arena.freeCount < count) return 0;
  into[0] = slot;
  for (let index = 1; index < count; index += 1) {
    const from = first + (index - 1) * step;
    const octets = Math.min(step, payload - from);
    const piece = arena.take();
    const start = piece * SLOT_SIZE + SLOT_HEADROOM;
    arena.octets.set(later, start);
    const source = at + headerOctets + from;
    arena.octets.copyWithin(start + later.length, source, source + octets);
    arena.start[piece] = start;
    arena.length[piece] = later.length + octets;
    const more = index < count - 1 ? FLAG.moreFragments : flags & FLAG.moreFragments;
    finish(arena, piece, later.length, more, (flags & OFFSET_MASK) + from / UNIT_OCTETS);
    into[index] = piece;
  }
  arena.length[slot] = headerOctets + first;
  finish(arena, slot, headerOctets, FLAG.moreFragments, flags & OFFSET_MASK);
  return count;
}

/** Length, flags, offset and checksum. */
function finish(arena: Arena, slot: number, header: number, more: number, offset: number): void {
  const { octets, view } = arena;
  const at = arena.start[slot] as number;
  view.setUint16(at + 2, arena.length[slot] as number);
  view.setUint16(at + 6, more | offset);
  view.setUint16(at + 10, 0);
  view.setUint16(at + 10, foldChecksum(sumWords(octets, at, at + header, 0)));
}

/** The header of all fragments but the first: with the options that are to be copied, padded with "end". */
function laterHeader(octets: Uint8Array, at: number, headerOctets: number): Uint8Array {
  const header = new Uint8Array(HEADER_OCTETS_MAX);
  header.set(octets.subarray(at, at + HEADER_OCTETS));
  let length = HEADER_OCTETS;
  for (let from = at + HEADER_OCTETS; from < at + headerOctets; ) {
    const kind = octets[from] as number;
    if (kind === OPTION.end) break;
    const single = kind === OPTION.noOperation;
    const size = single ? 1 : (octets[from + 1] as number);
    if (size < (single ? 1 : 2) || from + size > at + headerOctets) break;
    if ((kind & OPTION.copied) !== 0) {
      header.set(octets.subarray(from, from + size), length);
      length += size;
    }
    from += size;
  }
  const padded = Math.ceil(length / 4) * 4;
  header[0] = 0x40 | (padded / 4);
  return header.subarray(0, padded);
}
