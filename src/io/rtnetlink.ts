/**
 * One question of rtnetlink (rtnetlink(7)) and its answer, as octets: by which route the kernel would send
 * a packet now. Fields are in this machine's byte order, attributes padded to 4 octets.
 *
 *   nlmsghdr 16 | rtmsg 12 | attributes: length 2, type 2, value
 */
import { endianness } from "node:os";
import { type Prefix, textOf } from "../core/prefix.ts";

const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 1;
const RTM_F_FIB_MATCH = 0x2000;
const RTA = { to: 1, from: 2, device: 4, gateway: 5, source: 7, via: 18 } as const;
const AF = { 4: 2, 6: 10 } as const;
/** A route to this machine itself. */
const RTN_LOCAL = 2;

const HEAD = { length: 0, type: 4, flags: 6, end: 16 } as const;
const ROUTE = { family: 16, toBits: 17, fromBits: 18, type: 23, flags: 24, end: 28 } as const;
const ATTRIBUTE_OCTETS = 4;
/** In RTA_VIA: the address family before the address. */
const VIA_OCTETS = 2;
const LITTLE = endianness() === "LE";

export interface RouteQuestion {
  readonly to: Prefix;
  /** The packet's source, if it is fixed. */
  readonly from?: Prefix | undefined;
  /** Index of the device that the packet must leave by. */
  readonly device?: number | undefined;
  /**
   * Only if a route matches. Bound to a device without one, IPv4 takes every address for a neighbour. The answer
   * is that route as it was configured, with no source chosen.
   */
  readonly matched?: boolean;
}

export type RouteAnswer =
  | {
      readonly tag: "route";
      /** The address is this machine's own. */
      readonly local: boolean;
      /** Index of the device. */
      readonly device: number;
      /** Next hop, text; null: the address is a neighbour. */
      readonly via: string | null;
      /** The source that the kernel would choose, text. */
      readonly source: string | null;
    }
  /** `errno`: why not, as a positive number; 0: the answer cannot be read. */
  | { readonly tag: "refused"; readonly errno: number };

export function encodeRouteQuestion(question: RouteQuestion): Uint8Array {
  const { to, from, device, matched } = question;
  const attributes: [type: number, value: Uint8Array][] = [[RTA.to, to.address]];
  if (from !== undefined) attributes.push([RTA.from, from.address]);
  if (device !== undefined) attributes.push([RTA.device, uint32(device)]);
  const sizes = attributes.map(([, value]) => padded(ATTRIBUTE_OCTETS + value.length));
  const octets = new Uint8Array(sizes.reduce((sum, size) => sum + size, ROUTE.end));
  const view = new DataView(octets.buffer);
  view.setUint32(HEAD.length, octets.length, LITTLE);
  view.setUint16(HEAD.type, RTM_GETROUTE, LITTLE);
  view.setUint16(HEAD.flags, NLM_F_REQUEST, LITTLE);
  view.setUint8(ROUTE.family, AF[to.family]);
  view.setUint8(ROUTE.toBits, to.address.length * 8);
  if (from !== undefined) view.setUint8(ROUTE.fromBits, from.address.length * 8);
  if (matched === true) view.setUint32(ROUTE.flags, RTM_F_FIB_MATCH, LITTLE);
  let at: number = ROUTE.end;
  for (const [index, [type, value]] of attributes.entries()) {
    view.setUint16(at, ATTRIBUTE_OCTETS + value.length, LITTLE);
    view.setUint16(at + 2, type, LITTLE);
    octets.set(value, at + ATTRIBUTE_OCTETS);
    at += sizes[index] as number;
  }
  return octets;
}

export function decodeRouteAnswer(octets: Uint8Array): RouteAnswer {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  if (octets.length < HEAD.end + 4) return { tag: "refused", errno: 0 };
  const type = view.getUint16(HEAD.type, LITTLE);
  if (type === NLMSG_ERROR) return { tag: "refused", errno: -view.getInt32(HEAD.end, LITTLE) };
  if (type !== RTM_NEWROUTE || octets.length < ROUTE.end) return { tag: "refused", errno: 0 };
  let device = 0;
  let via: string | null = null;
  let source: string | null = null;
  for (const [name, value] of attributesOf(octets, view)) {
    if (name === RTA.device && value.length === 4) device = readUint32(value);
    if (name === RTA.gateway) via = addressOf(value);
    if (name === RTA.via) via = addressOf(value.subarray(VIA_OCTETS));
    if (name === RTA.source) source = addressOf(value);
  }
  const local = view.getUint8(ROUTE.type) === RTN_LOCAL;
  return { tag: "route", local, device, via, source };
}

function* attributesOf(octets: Uint8Array, view: DataView): Generator<[number, Uint8Array]> {
  const end = Math.min(view.getUint32(HEAD.length, LITTLE), octets.length);
  for (let at: number = ROUTE.end; at + ATTRIBUTE_OCTETS <= end; ) {
    const length = view.getUint16(at, LITTLE);
    if (length < ATTRIBUTE_OCTETS || at + length > end) return;
    yield [view.getUint16(at + 2, LITTLE), octets.subarray(at + ATTRIBUTE_OCTETS, at + length)];
    at += padded(length);
  }
}

function addressOf(octets: Uint8Array): string | null {
  if (octets.length !== 4 && octets.length !== 16) return null;
  return textOf(octets.length === 4 ? 4 : 6, octets);
}

function padded(octets: number): number {
  return Math.ceil(octets / 4) * 4;
}

function uint32(value: number): Uint8Array {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, value, LITTLE);
  return octets;
}

function readUint32(octets: Uint8Array): number {
  return new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0, LITTLE);
}
