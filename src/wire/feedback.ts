/**
 * FEEDBACK: what one side has received on one link, said to the side that sent it.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------+---------------+-------------------------------+
 *   |  link number  |    ranges     |   ack delay, 8 us units       |
 *   +---------------+---------------+-------------------------------+
 *   |            largest DATA sequence received, low 32             |
 *   +---------------------------------------------------------------+
 *   |     when it was received, receiver's clock, us mod 2^32       |
 *   +---------------------------------------------------------------+
 *   |     octets of DATA received on the link so far, mod 2^32      |
 *   +-------------------------------+-------------------------------+
 *   |  first: earlier, 8 us units   |     CE packets, mod 2^16      |
 *   +-------------------------------+-------------------------------+
 *   |     ECT packets, mod 2^16     |  floor: highest order sent by |
 *   +-------------------------------+-------------------------------+
 *   |  this side when it said so    |  hold: reordering, 8 us units |
 *   +-------------------------------+-------------------------------+
 *   |  repair: resending, 8 us units|  ranges: varints ...
 *   +-------------------------------+---------------
 *
 * Behind the preamble. It stands alone: a lost FEEDBACK costs delay and nothing else. It names its
 * link by number because it may travel on another one when its own is suspect. Ranges, newest first, as in
 * RFC 9000 section 19.3.1: length - 1 of the range that ends at `largest`, then (gap - 1, length - 1)
 * pairs, as variable-length integers of RFC 9000 section 16.
 */
import type { Arena } from "../core/arena.ts";

const AT = {
  link: 0,
  ranges: 1,
  ackDelay: 2,
  largest: 4,
  receivedUs: 8,
  bytes: 12,
  first: 16,
  ce: 18,
  ect: 20,
  floor: 22,
  hold: 26,
  repair: 28,
  end: 30,
} as const;

/** Unit of the two delay fields, microseconds. */
const DELAY_UNIT_US = 8;
const DELAY_UNITS_MAX = 0xffff;

/** Ranges a message carries at the most. */
export const FEEDBACK_RANGES_MAX = 32;

export interface Feedback {
  /** 0..255. */
  link: number;
  ackDelayUs: number;
  /** Low 32 bits. */
  largest: number;
  /** Microseconds modulo 2^32, on the receiver's clock. */
  receivedUs: number;
  /** Octets modulo 2^32, preambles included. */
  bytes: number;
  /** How long before `receivedUs` the oldest packet came that no feedback had reported. */
  firstUs: number;
  /** Packets modulo 2^16. */
  ceCount: number;
  ectCount: number;
  /** Low 24 bits of the order number; says how far the sender of this message has got. */
  floor: number;
  /**
   * What the sender of this message says of the packets it sends: how much later than a packet on its
   * fastest link one on its slowest may arrive, and how long after a packet is seen to be missing a
   * second copy of it may come (0: none is sent).
   */
  holdUs: number;
  repairUs: number;
  rangeCount: number;
  /** Distances below `largest`, inclusive, newest first: [0] is 0. */
  readonly rangeFrom: Float64Array;
  readonly rangeTo: Float64Array;
}

export function newFeedback(): Feedback {
  return {
    link: 0,
    ackDelayUs: 0,
    largest: 0,
    receivedUs: 0,
    bytes: 0,
    firstUs: 0,
    ceCount: 0,
    ectCount: 0,
    floor: 0,
    holdUs: 0,
    repairUs: 0,
    rangeCount: 0,
    rangeFrom: new Float64Array(FEEDBACK_RANGES_MAX),
    rangeTo: new Float64Array(FEEDBACK_RANGES_MAX),
  };
}

/** Writes the body into the empty packet of `slot`. */
export function encodeFeedback(arena: Arena, slot: number, feedback: Feedback): void {
  const { view } = arena;
  const at = arena.start[slot] as number;
  view.setUint8(at + AT.link, feedback.link);
  view.setUint8(at + AT.ranges, feedback.rangeCount);
  view.setUint16(at + AT.ackDelay, delayUnits(feedback.ackDelayUs));
  view.setUint32(at + AT.largest, feedback.largest >>> 0);
  view.setUint32(at + AT.receivedUs, feedback.receivedUs % 0x1_0000_0000);
  view.setUint32(at + AT.bytes, feedback.bytes % 0x1_0000_0000);
  view.setUint16(at + AT.first, delayUnits(feedback.firstUs));
  view.setUint16(at + AT.ce, feedback.ceCount & 0xffff);
  view.setUint16(at + AT.ect, feedback.ectCount & 0xffff);
  view.setUint32(at + AT.floor, feedback.floor & 0xff_ffff);
  view.setUint16(at + AT.hold, delayUnits(feedback.holdUs));
  view.setUint16(at + AT.repair, delayUnits(feedback.repairUs));
  let end = at + AT.end;
  for (let index = 0; index < feedback.rangeCount; index += 1) {
    const from = feedback.rangeFrom[index] as number;
    const to = feedback.rangeTo[index] as number;
    if (index > 0) end = putVarint(view, end, from - (feedback.rangeTo[index - 1] as number) - 2);
    end = putVarint(view, end, to - from);
  }
  arena.length[slot] = end - at;
}

/** Reads the body at `offset` of the slot's packet into `into`; false when it is damaged. */
export function decodeFeedback(
  arena: Arena,
  slot: number,
  offset: number,
  into: Feedback,
): boolean {
  const { view } = arena;
  const at = (arena.start[slot] as number) + offset;
  const end = (arena.start[slot] as number) + (arena.length[slot] as number);
  if (end - at < AT.end) return false;
  into.link = view.getUint8(at + AT.link);
  into.rangeCount = view.getUint8(at + AT.ranges);
  into.ackDelayUs = view.getUint16(at + AT.ackDelay) * DELAY_UNIT_US;
  into.largest = view.getUint32(at + AT.largest);
  into.receivedUs = view.getUint32(at + AT.receivedUs);
  into.bytes = view.getUint32(at + AT.bytes);
  into.firstUs = view.getUint16(at + AT.first) * DELAY_UNIT_US;
  into.ceCount = view.getUint16(at + AT.ce);
  into.ectCount = view.getUint16(at + AT.ect);
  into.floor = view.getUint32(at + AT.floor) & 0xff_ffff;
  into.holdUs = view.getUint16(at + AT.hold) * DELAY_UNIT_US;
  into.repairUs = view.getUint16(at + AT.repair) * DELAY_UNIT_US;
  return decodeRanges(view, at + AT.end, end, into);
}

function decodeRanges(view: DataView, from: number, end: number, into: Feedback): boolean {
  if (into.rangeCount === 0 || into.rangeCount > FEEDBACK_RANGES_MAX) return false;
  let at = from;
  let distance = 0;
  for (let index = 0; index < into.rangeCount; index += 1) {
    if (index > 0) {
      const gap = getVarint(view, at, end);
      if (gap < 0) return false;
      at += varintOctets(view, at);
      distance += gap + 2;
    }
    const length = getVarint(view, at, end);
    if (length < 0) return false;
    at += varintOctets(view, at);
    into.rangeFrom[index] = distance;
    distance += length;
    into.rangeTo[index] = distance;
  }
  return at === end;
}

function delayUnits(us: number): number {
  return Math.min(Math.max(Math.round(us / DELAY_UNIT_US), 0), DELAY_UNITS_MAX);
}

/** Below 2^30; returns where the next field begins. */
function putVarint(view: DataView, at: number, value: number): number {
  if (value < 0x40) {
    view.setUint8(at, value);
    return at + 1;
  }
  if (value < 0x4000) {
    view.setUint16(at, value | 0x4000);
    return at + 2;
  }
  view.setUint32(at, (Math.min(value, 0x3fff_ffff) | 0x8000_0000) >>> 0);
  return at + 4;
}

/** The integer at `at`, or -1 when it does not fit before `end` or is of the 8-octet form. */
function getVarint(view: DataView, at: number, end: number): number {
  if (at >= end) return -1;
  const octets = varintOctets(view, at);
  if (octets > 4 || at + octets > end) return -1;
  if (octets === 1) return view.getUint8(at);
  if (octets === 2) return view.getUint16(at) & 0x3fff;
  return view.getUint32(at) & 0x3fff_ffff;
}

function varintOctets(view: DataView, at: number): number {
  return 1 << (view.getUint8(at) >> 6);
}
