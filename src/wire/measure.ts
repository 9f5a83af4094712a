/**
 * Bodies of CONTROL with which a path is measured (`probe`); first octet 6 to 9, reserved octets 0.
 * All but TRAIN and REPORT are padded to ASK_OCTETS, so that an answer is at most 3 times as long
 * as what asked for it (RFC 9000 section 8.1).
 *
 *   train    6 | flags | transport | class | train 2 | index 2 | count 2 | octets 2 | sent 4 | token 4 | filling
 *   request  7 | flags | transport | class | train 2 | count 2 | octets 2 | port 2 | interval 4 | token 4 | local 16
 *   ask      8 | 0 | transport | 0 | train 2 | from 2 | token 4
 *   report   9 | status | transport | family | train 2 | from 2 | token 4 | counts 7 x 2 | hops 2 |
 *            classes 2 | port 2 | address 16 | positions 8 x 2 | arrivals 3 each
 *
 * A token names a path: whoever sends it back receives there. Filling begins with two copies of the
 * fields, the second inverted, if there is room for both; the rest depends on its place alone. So an
 * octet that was changed on the way can be named though the tag is wrong.
 */
import { bodyOf, copyOf } from "./message.ts";

export const MEASURE = { train: 6, request: 7, ask: 8, report: 9 } as const;

/** Fields of a train packet, from which on its filling begins. */
export const TRAIN_OCTETS = 20;
/** Behind both copies of the fields. */
export const COPIES_OCTETS = 3 * TRAIN_OCTETS;
/** Length of every request and ask. */
export const ASK_OCTETS = 168;
/** Packets that one report tells of. */
export const REPORT_ARRIVALS_MAX = 128;
const REPORT_OCTETS = 64;
/** Places of changed octets in one report. */
export const POSITIONS_MAX = 8;
/** Arrival times are told in this unit, microseconds. */
export const ARRIVAL_UNIT_US = 10;
const ARRIVAL_NONE = 0xff_ffff;

const FLAG = { wantEcho: 1, isEcho: 2, otherProtocol: 4 } as const;
const FLAG_DERIVE = 1;

export interface TrainPacket {
  /** Number of the transport that it is sent by. */
  readonly transport: number;
  /** "no", or a packet that is to be sent back, or one that was. */
  readonly echo: "no" | "wanted" | "is";
  /** Sent under another protocol number than the raw links': its path is not to be answered along. */
  readonly otherProtocol: boolean;
  /** DSCP and ECN as it was sent. */
  readonly trafficClass: number;
  /** 16 bits, given by the probing side. */
  readonly train: number;
  readonly index: number;
  /** Packets in the train. */
  readonly count: number;
  /** Octets of this body. */
  readonly octets: number;
  /** Microseconds modulo 2^32 on the clock of who sent it first. */
  readonly sentUs: number;
  /** 32 bits; 0: none. */
  readonly token: number;
}

/** Asks the other side for a train. */
export interface TrainRequest {
  readonly transport: number;
  readonly trafficClass: number;
  /**
   * Where nothing was heard by this transport, send to the address known from another one: the probing
   * side says that it stands behind no address translation.
   */
  readonly derive: boolean;
  readonly train: number;
  readonly count: number;
  /** Octets of each body. */
  readonly octets: number;
  /** Between two packets, microseconds. */
  readonly intervalUs: number;
  readonly token: number;
  /** Local address of the probing side, 16 octets; IPv4 in its IPv4-mapped form, all 0 unknown. */
  readonly local: Uint8Array;
  /** Its local port of that transport; 0 for raw. */
  readonly port: number;
}

/** Asks for a report about a train, either's, and about the transport that it went by. */
export interface Ask {
  readonly transport: number;
  readonly train: number;
  /** First packet whose arrival is wanted. */
  readonly from: number;
  readonly token: number;
}

/** Of a train that was requested; `none`: it was not. */
export const STATUSES = ["none", "underWay", "done", "noPath", "tooMuch"] as const;
export type TrainStatus = (typeof STATUSES)[number];

export interface Report {
  readonly status: TrainStatus;
  readonly transport: number;
  readonly train: number;
  readonly from: number;
  /** For the path that this message goes along. */
  readonly token: number;
  /** Packets of a requested train that have left. */
  readonly sent: number;
  /** Packets that arrived, each counted once. */
  readonly received: number;
  readonly duplicates: number;
  /** Arrived after one with a higher index. */
  readonly reordered: number;
  /** Largest distance by which one was overtaken. */
  readonly displacement: number;
  /** Arrived with another traffic class than they left with. */
  readonly remarked: number;
  /** Messages by this transport whose tag was wrong, since the session began. */
  readonly mangled: number;
  /** Hop limits seen by this transport; 0 and 0: unknown. */
  readonly hopsMin: number;
  readonly hopsMax: number;
  /** Traffic class of the last packet of the train, and that of the last remarked one. */
  readonly trafficClass: number;
  readonly remarkedTo: number;
  /** Address and port that the probing side was seen at by this transport; family 0: not seen. */
  readonly family: 0 | 4 | 6;
  readonly port: number;
  readonly address: Uint8Array;
  /** Where octets were changed, counted from the preamble on. */
  readonly positions: readonly number[];
  /** Microseconds since the first arrival of the train; -1: did not arrive. */
  readonly arrivalsUs: readonly number[];
}

/** Filling at `at` octets behind the start of the body, behind copies. */
export function fillingAt(at: number): number {
  return (at * 167 + 89) & 0xff;
}

/** Subtype of a CONTROL message if it is one of ours, else undefined. */
export function measureOf(message: Uint8Array): number | undefined {
  const subtype = bodyOf(message)[0];
  return subtype !== undefined && subtype >= MEASURE.train && subtype <= MEASURE.report
    ? subtype
    : undefined;
}

/** A body of `packet.octets` octets, at least TRAIN_OCTETS. */
export function encodeTrain(packet: TrainPacket): Uint8Array {
  const octets = Math.max(TRAIN_OCTETS, packet.octets);
  const view = bodyView(MEASURE.train, octets);
  const echo = packet.echo === "no" ? 0 : packet.echo === "is" ? FLAG.isEcho : FLAG.wantEcho;
  view.setUint8(1, echo | (packet.otherProtocol ? FLAG.otherProtocol : 0));
  view.setUint8(2, packet.transport);
  view.setUint8(3, packet.trafficClass);
  view.setUint16(4, packet.train);
  view.setUint16(6, packet.index);
  view.setUint16(8, packet.count);
  view.setUint16(10, octets);
  view.setUint32(12, packet.sentUs % 0x1_0000_0000);
  view.setUint32(16, packet.token);
  const copied = octets >= COPIES_OCTETS ? COPIES_OCTETS : TRAIN_OCTETS;
  for (let at = TRAIN_OCTETS; at < copied; at += 1) {
    const field = view.getUint8(at % TRAIN_OCTETS);
    view.setUint8(at, at < 2 * TRAIN_OCTETS ? field : field ^ 0xff);
  }
  for (let at = copied; at < octets; at += 1) view.setUint8(at, fillingAt(at));
  return octetsOf(view);
}

/** @param message - from the preamble on */
export function decodeTrain(message: Uint8Array): TrainPacket | "truncated" {
  const view = viewOf(message, MEASURE.train, TRAIN_OCTETS);
  if (view === null || view.getUint16(10) !== view.byteLength) return "truncated";
  const flags = view.getUint8(1);
  return {
    transport: view.getUint8(2),
    echo: (flags & FLAG.isEcho) !== 0 ? "is" : (flags & FLAG.wantEcho) !== 0 ? "wanted" : "no",
    otherProtocol: (flags & FLAG.otherProtocol) !== 0,
    trafficClass: view.getUint8(3),
    train: view.getUint16(4),
    index: view.getUint16(6),
    count: view.getUint16(8),
    octets: view.getUint16(10),
    sentUs: view.getUint32(12),
    token: view.getUint32(16),
  };
}

export function encodeRequest(request: TrainRequest): Uint8Array {
  const view = bodyView(MEASURE.request, ASK_OCTETS);
  view.setUint8(1, request.derive ? FLAG_DERIVE : 0);
  view.setUint8(2, request.transport);
  view.setUint8(3, request.trafficClass);
  view.setUint16(4, request.train);
  view.setUint16(6, request.count);
  view.setUint16(8, request.octets);
  view.setUint16(10, request.port);
  view.setUint32(12, request.intervalUs);
  view.setUint32(16, request.token);
  octetsOf(view).set(request.local, 20);
  return octetsOf(view);
}

export function decodeRequest(message: Uint8Array): TrainRequest | "truncated" {
  const view = viewOf(message, MEASURE.request, ASK_OCTETS);
  if (view === null) return "truncated";
  return {
    derive: (view.getUint8(1) & FLAG_DERIVE) !== 0,
    transport: view.getUint8(2),
    trafficClass: view.getUint8(3),
    train: view.getUint16(4),
    count: view.getUint16(6),
    octets: view.getUint16(8),
    port: view.getUint16(10),
    intervalUs: view.getUint32(12),
    token: view.getUint32(16),
    local: copyOf(octetsOf(view), 20, 36),
  };
}

export function encodeAsk(ask: Ask): Uint8Array {
  const view = bodyView(MEASURE.ask, ASK_OCTETS);
  view.setUint8(2, ask.transport);
  view.setUint16(4, ask.train);
  view.setUint16(6, ask.from);
  view.setUint32(8, ask.token);
  return octetsOf(view);
}

export function decodeAsk(message: Uint8Array): Ask | "truncated" {
  const view = viewOf(message, MEASURE.ask, ASK_OCTETS);
  if (view === null) return "truncated";
  return {
    transport: view.getUint8(2),
    train: view.getUint16(4),
    from: view.getUint16(6),
    token: view.getUint32(8),
  };
}

/** Counts above 65535 are told as that; the first POSITIONS_MAX places and REPORT_ARRIVALS_MAX times go. */
export function encodeReport(report: Report): Uint8Array {
  const arrivals = report.arrivalsUs.slice(0, REPORT_ARRIVALS_MAX);
  const view = bodyView(MEASURE.report, REPORT_OCTETS + 3 * arrivals.length);
  view.setUint8(1, STATUSES.indexOf(report.status));
  view.setUint8(2, report.transport);
  view.setUint8(3, report.family);
  view.setUint16(4, report.train);
  view.setUint16(6, report.from);
  view.setUint32(8, report.token);
  const { sent, received, duplicates, reordered, displacement, remarked, mangled } = report;
  const counts = [sent, received, duplicates, reordered, displacement, remarked, mangled];
  for (const [index, count] of counts.entries()) {
    view.setUint16(12 + 2 * index, Math.min(count, 0xffff));
  }
  view.setUint8(26, report.hopsMin);
  view.setUint8(27, report.hopsMax);
  view.setUint8(28, report.trafficClass);
  view.setUint8(29, report.remarkedTo);
  view.setUint16(30, report.port);
  octetsOf(view).set(report.address, 32);
  report.positions.slice(0, POSITIONS_MAX).forEach((place, index) => {
    view.setUint16(48 + 2 * index, place);
  });
  arrivals.forEach((arrivalUs, index) => {
    const units = Math.min(Math.round(arrivalUs / ARRIVAL_UNIT_US), ARRIVAL_NONE - 1);
    const told = arrivalUs < 0 ? ARRIVAL_NONE : units;
    view.setUint16(REPORT_OCTETS + 3 * index, told >>> 8);
    view.setUint8(REPORT_OCTETS + 3 * index + 2, told & 0xff);
  });
  return octetsOf(view);
}

export function decodeReport(message: Uint8Array): Report | "truncated" {
  const view = viewOf(message, MEASURE.report, REPORT_OCTETS);
  const status = view === null ? undefined : STATUSES[view.getUint8(1)];
  if (view === null || status === undefined) return "truncated";
  const family = view.getUint8(3);
  return {
    status,
    transport: view.getUint8(2),
    train: view.getUint16(4),
    from: view.getUint16(6),
    token: view.getUint32(8),
    sent: view.getUint16(12),
    received: view.getUint16(14),
    duplicates: view.getUint16(16),
    reordered: view.getUint16(18),
    displacement: view.getUint16(20),
    remarked: view.getUint16(22),
    mangled: view.getUint16(24),
    hopsMin: view.getUint8(26),
    hopsMax: view.getUint8(27),
    trafficClass: view.getUint8(28),
    remarkedTo: view.getUint8(29),
    family: family === 4 || family === 6 ? family : 0,
    port: view.getUint16(30),
    address: copyOf(octetsOf(view), 32, 48),
    positions: positionsIn(view),
    arrivalsUs: arrivalsIn(view),
  };
}

/** Place 0 holds the type, which no message with a known link id has lost: it ends the list. */
function positionsIn(view: DataView): number[] {
  const places = Array.from({ length: POSITIONS_MAX }, (_, index) =>
    view.getUint16(48 + 2 * index),
  );
  return places.filter((place) => place !== 0);
}

function arrivalsIn(view: DataView): number[] {
  const count = Math.min(Math.floor((view.byteLength - REPORT_OCTETS) / 3), REPORT_ARRIVALS_MAX);
  return Array.from({ length: count }, (_, index) => {
    const at = REPORT_OCTETS + 3 * index;
    const units = (view.getUint16(at) << 8) | view.getUint8(at + 2);
    return units === ARRIVAL_NONE ? -1 : units * ARRIVAL_UNIT_US;
  });
}

function bodyView(subtype: number, octets: number): DataView {
  const view = new DataView(new ArrayBuffer(octets));
  view.setUint8(0, subtype);
  return view;
}

function octetsOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function viewOf(message: Uint8Array, subtype: number, octetsMin: number): DataView | null {
  const body = bodyOf(message);
  if (body[0] !== subtype || body.length < octetsMin) return null;
  return new DataView(body.buffer, body.byteOffset, body.byteLength);
}
