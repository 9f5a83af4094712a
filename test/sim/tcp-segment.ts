/**
 * TCP segments of the traffic models: real headers with the timestamp option (RFC 7323) and up to three
 * SACK blocks (RFC 2018). Sequence numbers and windows count segments; timestamps are microseconds.
 */
import type { Arena } from "../../src/core/arena.ts";
import { type Flow, IPV4_OCTETS, PROTOCOL_TCP, trafficClassOf, writeIpv4 } from "./packets.ts";

export const FLAG = { syn: 0x02, psh: 0x08, ack: 0x10, ece: 0x40, cwr: 0x80 } as const;
export const CE = 3;

const AT = { seq: 24, ack: 28, offsetFlags: 32, sentUs: 44, echoUs: 48, sack: 52 } as const;
/** IPv4 header, TCP header, timestamp option with padding. */
export const HEADER_OCTETS = IPV4_OCTETS + 20 + 12;
const BLOCKS_MAX = 3;

/** Fields of a segment, reused. Blocks are [from, to). */
export interface Segment {
  seq: number;
  ack: number;
  flags: number;
  /** Segments that the receiver has room for behind `ack`. */
  window: number;
  sentUs: number;
  echoUs: number;
  blockCount: number;
  readonly from: number[];
  readonly to: number[];
  /** Marked "congestion experienced". */
  marked: boolean;
}

export function newSegment(): Segment {
  return {
    seq: 0,
    ack: 0,
    flags: 0,
    window: 0,
    sentUs: 0,
    echoUs: 0,
    blockCount: 0,
    from: [0, 0, 0],
    to: [0, 0, 0],
    marked: false,
  };
}

/** Writes a segment with `payload` octets behind its headers. */
export function writeSegment(
  arena: Arena,
  slot: number,
  flow: Flow,
  segment: Segment,
  payload: number,
): void {
  const { view } = arena;
  const sackOctets = segment.blockCount > 0 ? 4 + 8 * segment.blockCount : 0;
  const header = HEADER_OCTETS + sackOctets;
  const at = writeIpv4(arena, slot, header + payload, PROTOCOL_TCP, flow);
  view.setUint32(at + AT.seq, segment.seq);
  view.setUint32(at + AT.ack, segment.ack);
  const words = (header - IPV4_OCTETS) / 4;
  const offsetFlags = (words << 12) | segment.flags;
  view.setUint32(at + AT.offsetFlags, ((offsetFlags << 16) | segment.window) >>> 0);
  view.setUint32(at + 36, 0);
  view.setUint32(at + 40, 0x0101_080a);
  view.setUint32(at + AT.sentUs, segment.sentUs % 0x1_0000_0000);
  view.setUint32(at + AT.echoUs, segment.echoUs % 0x1_0000_0000);
  if (sackOctets === 0) return;
  view.setUint32(at + AT.sack, 0x0101_0500 | (2 + 8 * segment.blockCount));
  for (let index = 0; index < segment.blockCount; index += 1) {
    view.setUint32(at + AT.sack + 4 + 8 * index, segment.from[index] as number);
    view.setUint32(at + AT.sack + 8 + 8 * index, segment.to[index] as number);
  }
}

export function readSegment(arena: Arena, slot: number, into: Segment): void {
  const { view } = arena;
  const at = arena.start[slot] as number;
  into.seq = view.getUint32(at + AT.seq);
  into.ack = view.getUint32(at + AT.ack);
  const offsetFlags = view.getUint16(at + AT.offsetFlags);
  into.flags = offsetFlags & 0xff;
  into.window = view.getUint16(at + AT.offsetFlags + 2);
  into.sentUs = view.getUint32(at + AT.sentUs);
  into.echoUs = view.getUint32(at + AT.echoUs);
  into.marked = (trafficClassOf(arena, slot) & CE) === CE;
  const optionOctets = (offsetFlags >> 12) * 4 - 32;
  into.blockCount = optionOctets > 0 ? Math.min((optionOctets - 4) / 8, BLOCKS_MAX) : 0;
  for (let index = 0; index < into.blockCount; index += 1) {
    into.from[index] = view.getUint32(at + AT.sack + 4 + 8 * index);
    into.to[index] = view.getUint32(at + AT.sack + 8 + 8 * index);
  }
}

/** RFC 2883: the first block lies below the acknowledgement, or within the second block. */
export function reportsDuplicate(segment: Segment): boolean {
  if (segment.blockCount === 0) return false;
  const from = segment.from[0] as number;
  if (from < segment.ack) return true;
  if (segment.blockCount < 2) return false;
  const within = from >= (segment.from[1] as number);
  return within && (segment.to[0] as number) <= (segment.to[1] as number);
}
