/**
 * Inner packets of the traffic models: real IPv4, UDP and TCP headers, so that flow hashes, marks and
 * the like find what they look for; payload octets behind the models' own numbers are left as they are.
 * Checksums are the header's alone. TCP sequence numbers count segments.
 */
import type { Arena } from "../../src/core/arena.ts";
import { assert } from "../../src/core/assert.ts";

/** The octets of a packet that the models look at: an emulated path copies no more of one. */
export const MEANING_OCTETS = 128;

export const IPV4_OCTETS = 20;
export const UDP_OCTETS = 8;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_TCP = 6;

export const AT = {
  trafficClass: 1,
  length: 2,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  sourcePort: 20,
  destinationPort: 22,
  /** Behind a UDP header: the number of the packet, and when it was sent. */
  number: 28,
  sentUs: 32,
} as const;

/** Octets of the smallest UDP packet. */
export const UDP_PACKET_OCTETS_MIN = 36;

export const ADDRESS_A = 0x0a00_0001;
export const ADDRESS_B = 0x0a00_0002;

export interface Flow {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** DSCP and ECN. */
  readonly trafficClass: number;
}

/** A slot for a new packet. A world that runs out of them shows nothing: give it more (`WorldSpec.slots`). */
export function takeSlot(arena: Arena): number {
  const slot = arena.take();
  assert(slot >= 0, "an emulated world has slots to spare");
  return slot;
}

/** Writes an IPv4 header and ports at the slot's start and sets its length. */
export function writeIpv4(
  arena: Arena,
  slot: number,
  bytes: number,
  protocol: number,
  flow: Flow,
): number {
  const { view } = arena;
  const at = arena.start[slot] as number;
  arena.length[slot] = bytes;
  view.setUint32(at, 0x4500_0000 | (flow.trafficClass << 16) | bytes);
  view.setUint32(at + 4, 0x0000_4000);
  view.setUint32(at + 8, (64 << 24) | (protocol << 16));
  view.setUint32(at + AT.source, flow.source);
  view.setUint32(at + AT.destination, flow.destination);
  view.setUint16(at + AT.checksum, headerChecksum(arena, at));
  view.setUint32(at + AT.sourcePort, ((flow.sourcePort << 16) | flow.destinationPort) >>> 0);
  return at;
}

/** A UDP packet that carries its number and the time. */
export function writeUdp(
  arena: Arena,
  slot: number,
  bytes: number,
  flow: Flow,
  number: number,
  nowUs: number,
): void {
  const at = writeIpv4(arena, slot, bytes, PROTOCOL_UDP, flow);
  arena.view.setUint32(at + 24, (bytes - IPV4_OCTETS) << 16);
  arena.view.setUint32(at + AT.number, number);
  arena.view.setUint32(at + AT.sentUs, nowUs % 0x1_0000_0000);
}

/** RFC 1071 over the 20 octets of an IPv4 header. */
function headerChecksum(arena: Arena, at: number): number {
  let sum = 0;
  for (let offset = 0; offset < IPV4_OCTETS; offset += 2) {
    if (offset !== AT.checksum) sum += arena.view.getUint16(at + offset);
  }
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}

export function trafficClassOf(arena: Arena, slot: number): number {
  return arena.octets[(arena.start[slot] as number) + AT.trafficClass] as number;
}

export function destinationPortOf(arena: Arena, slot: number): number {
  return arena.view.getUint16((arena.start[slot] as number) + AT.destinationPort);
}
