/**
 * The preamble: the first octets of every message on every transport.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------+-------+-----------------------------------------------+
 *   | type  | flags |                link id (24)                   |
 *   +-------+-------+-----------------------------------------------+
 *   |                 sequence (low 32 bits of 64)                  |
 *   +---------------------------------------------------------------+
 *   |            order (24), only with flag S       | prev (16) ...
 *   +-----------------------------------------------+---------------+
 *
 * Network byte order. Octets to fields and back, nothing else: tags belong to `native`, the meaning
 * of a sequence number to `link`, that of order and prev to `bond`.
 */
import { type Arena, SLOT_SIZE } from "../core/arena.ts";

/** The high nibble of the first octet. 0 and 11..15 are refused. */
export const TYPE = {
  init: 1,
  resp: 2,
  retry: 3,
  attach: 4,
  challenge: 5,
  response: 6,
  feedback: 7,
  control: 8,
  data: 9,
  reset: 10,
} as const;

/** The low nibble of the first octet. */
export const FLAG = {
  /** Key phase of the session. */
  keyPhase: 8,
  /** DATA carries order and prev. */
  order: 4,
  /** The sender asks for feedback now. */
  ackNow: 2,
  /** A second copy of a packet (failover, duplicate mode). */
  copy: 1,
} as const;

const AT = { typeFlags: 0, linkId: 1, seq: 4, order: 8, prev: 11 } as const;

export const PREAMBLE_OCTETS = 8;
/** With order and prev. */
export const PREAMBLE_ORDERED_OCTETS = 13;

/** `prev` of a packet that need not wait for another. */
export const PREV_UNORDERED = 0;
/** `prev` of a packet whose predecessor is further back than 16 bits reach. */
export const PREV_FAR = 0xffff;

export function typeOf(arena: Arena, slot: number): number {
  return (arena.octets[arena.start[slot] as number] as number) >> 4;
}

export function flagsOf(arena: Arena, slot: number): number {
  return (arena.octets[arena.start[slot] as number] as number) & 15;
}

export function linkIdOf(arena: Arena, slot: number): number {
  return arena.view.getUint32(arena.start[slot] as number) & 0xff_ffff;
}

/** Low 32 bits, as on the wire. */
export function seqOf(arena: Arena, slot: number): number {
  return arena.view.getUint32((arena.start[slot] as number) + AT.seq);
}

/** 24 bits; only where the order flag is set. */
export function orderOf(arena: Arena, slot: number): number {
  return arena.view.getUint32((arena.start[slot] as number) + AT.order) >>> 8;
}

/** 16 bits; only where the order flag is set. */
export function prevOf(arena: Arena, slot: number): number {
  return arena.view.getUint16((arena.start[slot] as number) + AT.prev);
}

/** Where a DATA message's inner packet begins, relative to the preamble. */
export function dataOffset(flags: number): number {
  return (flags & FLAG.order) !== 0 ? PREAMBLE_ORDERED_OCTETS : PREAMBLE_OCTETS;
}

/** Pushes a preamble without order fields in front of the slot's packet; sets the slot's `seq`. */
export function pushPreamble(
  arena: Arena,
  slot: number,
  type: number,
  flags: number,
  linkId: number,
  seq: number,
): void {
  const at = push(arena, slot, PREAMBLE_OCTETS);
  arena.view.setUint32(at + AT.typeFlags, ((type << 28) | (flags << 24) | linkId) >>> 0);
  arena.view.setUint32(at + AT.seq, seq % 0x1_0000_0000);
  arena.seq[slot] = seq;
}

/** Pushes a DATA preamble with order fields in front of the slot's packet; sets the slot's `seq`. */
export function pushOrderedPreamble(
  arena: Arena,
  slot: number,
  flags: number,
  linkId: number,
  seq: number,
  order: number,
  prev: number,
): void {
  const at = push(arena, slot, PREAMBLE_ORDERED_OCTETS);
  const first = (TYPE.data << 28) | ((flags | FLAG.order) << 24) | linkId;
  arena.view.setUint32(at + AT.typeFlags, first >>> 0);
  arena.view.setUint32(at + AT.seq, seq % 0x1_0000_0000);
  arena.view.setUint32(at + AT.order, ((order & 0xff_ffff) << 8) >>> 0);
  arena.view.setUint16(at + AT.prev, prev);
  arena.seq[slot] = seq;
}

/** Pulls `octets` off the front of the slot's packet, as `skb_pull` does. */
export function pull(arena: Arena, slot: number, octets: number): void {
  arena.start[slot] = (arena.start[slot] as number) + octets;
  arena.length[slot] = (arena.length[slot] as number) - octets;
}

function push(arena: Arena, slot: number, octets: number): number {
  const at = (arena.start[slot] as number) - octets;
  if (at < slot * SLOT_SIZE) throw new Error("bug in mpfwd: no headroom for a preamble");
  arena.start[slot] = at;
  arena.length[slot] = (arena.length[slot] as number) + octets;
  return at;
}
