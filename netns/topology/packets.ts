/**
 * IP packets that nobody's kernel would send for us: with any source, and ICMP errors about packets of
 * other people. RFC 791, 792, 8200 and 4443. Pure.
 */
import { assert } from "../../src/core/assert.ts";
import { parseAddress } from "../../src/core/prefix.ts";

export interface IpFields {
  /** Addresses of one family, as text. */
  readonly from: string;
  readonly to: string;
  /** 0..255. */
  readonly protocol: number;
  /** TTL or hop limit; default 64. */
  readonly hops?: number;
}

/** What an ICMP error says. */
export type IcmpError =
  | { readonly tag: "too big"; readonly mtu: number }
  | { readonly tag: "protocol unreachable" }
  | { readonly tag: "port unreachable" };

const PROTOCOL_OF_ICMP = { 4: 1, 6: 58 } as const;
const HOPS_DEFAULT = 64;
const V4_HEADER_OCTETS = 20;
const V6_HEADER_OCTETS = 40;
const ICMP_HEADER_OCTETS = 8;
const UDP_HEADER_OCTETS = 8;
/** RFC 792 asks for 8 octets behind the quoted header, RFC 1812 section 4.3.2.3 for as many as fit. */
const QUOTED_OCTETS_MAX = 128;
/** Where the next header is named: what ICMPv6 points to when it does not know a protocol. */
const V6_NEXT_HEADER_AT = 6;

/** A whole packet. @throws when an address cannot be read, or they are of two families */
export function ipPacket(fields: IpFields, payload: Uint8Array): Buffer {
  const [from, to] = [parseAddress(fields.from), parseAddress(fields.to)];
  assert(from !== null && to !== null && from.family === to.family, "two addresses of one family");
  const hops = fields.hops ?? HOPS_DEFAULT;
  if (from.family === 6) {
    const header = Buffer.alloc(V6_HEADER_OCTETS);
    header.writeUInt8(0x60, 0);
    header.writeUInt16BE(payload.length, 4);
    header.set([fields.protocol, hops, ...from.address, ...to.address], V6_NEXT_HEADER_AT);
    return Buffer.concat([header, payload]);
  }
  const header = Buffer.alloc(V4_HEADER_OCTETS);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(V4_HEADER_OCTETS + payload.length, 2);
  header.set([hops, fields.protocol], 8);
  header.set([...from.address, ...to.address], 12);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** A UDP datagram without a checksum, which IPv6 does not allow. */
export function udpDatagram(from: number, to: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(UDP_HEADER_OCTETS);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt16BE(header.length + payload.length, 4);
  return Buffer.concat([header, payload]);
}

/**
 * An ICMP error to whoever sent `quoted`, a whole IP packet, from a router `from`. The lab's addresses
 * tell the family.
 */
export function icmpError(error: IcmpError, from: string, quoted: Uint8Array): Buffer {
  const family = (quoted[0] as number) >> 4 === 6 ? 6 : 4;
  const to = sourceText(family, quoted);
  const head = Buffer.alloc(ICMP_HEADER_OCTETS);
  head.set(family === 4 ? headV4(error) : headV6(error));
  const message = Buffer.concat([head, quoted.subarray(0, QUOTED_OCTETS_MAX)]);
  const protocol = PROTOCOL_OF_ICMP[family];
  const summed = family === 4 ? message : Buffer.concat([pseudoHeader(from, to, message), message]);
  message.writeUInt16BE(checksum(summed), 2);
  return ipPacket({ from, to, protocol }, message);
}

/** RFC 1071: the ones' complement of the ones' complement sum of 16-bit words. */
export function checksum(octets: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < octets.length; at += 2) {
    sum += ((octets[at] as number) << 8) | (octets[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** RFC 792 and 1191: type, code, checksum, unused, MTU of the next hop. */
function headV4(error: IcmpError): number[] {
  switch (error.tag) {
    case "too big":
      return [3, 4, 0, 0, 0, 0, error.mtu >> 8, error.mtu & 0xff];
    case "protocol unreachable":
      return [3, 2];
    case "port unreachable":
      return [3, 3];
  }
}

/** RFC 4443 sections 3.2, 3.4 (pointer to the field that is not understood) and 3.1. */
function headV6(error: IcmpError): number[] {
  switch (error.tag) {
    case "too big":
      return [2, 0, 0, 0, 0, 0, error.mtu >> 8, error.mtu & 0xff];
    case "protocol unreachable":
      return [4, 1, 0, 0, 0, 0, 0, V6_NEXT_HEADER_AT];
    case "port unreachable":
      return [1, 4];
  }
}

function pseudoHeader(from: string, to: string, message: Uint8Array): Buffer {
  const octets = [from, to].flatMap((one) => [...(parseAddress(one)?.address ?? [])]);
  const length = [0, 0, message.length >> 8, message.length & 0xff];
  return Buffer.from([...octets, ...length, 0, 0, 0, PROTOCOL_OF_ICMP[6]]);
}

function sourceText(family: 4 | 6, packet: Uint8Array): string {
  if (family === 4) return packet.subarray(12, 16).join(".");
  const words = Buffer.from(packet.subarray(8, 24));
  return Array.from({ length: 8 }, (_, index) => words.readUInt16BE(2 * index).toString(16)).join(
    ":",
  );
}
