/** Inner packets for tests of the queue: IPv4 and IPv6 headers with just what the queue looks at. */
import assert from "node:assert/strict";
import type { Arena } from "../../src/core/arena.ts";

export interface InnerPacket {
  readonly version?: 4 | 6;
  readonly protocol?: number;
  /** DSCP and ECN. */
  readonly trafficClass?: number;
  readonly source?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** The octet at 13 of the transport header. */
  readonly tcpFlags?: number;
  /** First octet of the transport header. */
  readonly icmpType?: number;
  /** Flags and fragment offset of IPv4. */
  readonly fragment?: number;
  readonly bytes?: number;
}

/** Octets of a packet, the IPv4 checksum right. */
export function innerPacket(packet: InnerPacket): Uint8Array {
  const { version = 4, protocol = 6, trafficClass = 0, source = 1, bytes = 1400 } = packet;
  const octets = new Uint8Array(bytes);
  const view = new DataView(octets.buffer);
  if (version === 4) {
    octets.set([0x45, trafficClass, bytes >> 8, bytes & 0xff, 0, 1, 0, 0, 64, protocol]);
    view.setUint16(6, packet.fragment ?? 0);
    octets.set([10, 0, 0, source, 10, 0, 1, 1], 12);
    view.setUint16(10, headerChecksum(octets));
  } else {
    octets.set([0x60 | (trafficClass >> 4), (trafficClass & 15) << 4, 0, 0, 0, 0, protocol, 64]);
    view.setUint16(4, bytes - 40);
    octets.set([0xfd, source], 8);
    octets.set([0xfd, 0xff], 24);
  }
  const at = version === 4 ? 20 : 40;
  if (bytes < at + 14) return octets;
  view.setUint16(at, packet.sourcePort ?? 1000);
  view.setUint16(at + 2, packet.destinationPort ?? 2000);
  if (packet.icmpType !== undefined) octets[at] = packet.icmpType;
  octets[at + 13] = packet.tcpFlags ?? 0x10;
  return octets;
}

/** RFC 791 over the header of an IPv4 packet, options too, its checksum field taken as zero. */
export function headerChecksum(octets: Uint8Array): number {
  let sum = 0;
  const end = 4 * ((octets[0] as number) & 15);
  for (let at = 0; at < end; at += 2) {
    if (at !== 10) sum += ((octets[at] as number) << 8) | (octets[at + 1] as number);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Puts a packet into a fresh slot of the arena. */
export function slotOf(arena: Arena, packet: InnerPacket): number {
  const slot = arena.take();
  assert.ok(slot >= 0, "the arena has a free slot");
  arena.write(slot, innerPacket(packet));
  return slot;
}
