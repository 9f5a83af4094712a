/**
 * Reads a classic pcap file of Ethernet frames as tcpdump writes it (little-endian, microseconds):
 * a 24-octet file header, and before each frame 16 octets with its captured and its real length.
 */
import { readFileSync } from "node:fs";

const MAGIC = 0xa1b2c3d4;
const FILE_HEADER_OCTETS = 24;
const RECORD_HEADER_OCTETS = 16;
const ETHERNET_HEADER_OCTETS = 14;

/** The IP packets of a capture, without their Ethernet headers. @throws Error when it is another format */
export function readCapture(path: string): Buffer[] {
  const file = readFileSync(path);
  if (file.length < FILE_HEADER_OCTETS || file.readUInt32LE(0) !== MAGIC) {
    throw new Error(`${path} is no little-endian pcap file`);
  }
  const packets: Buffer[] = [];
  let at = FILE_HEADER_OCTETS;
  while (at + RECORD_HEADER_OCTETS <= file.length) {
    const captured = file.readUInt32LE(at + 8);
    const frame = at + RECORD_HEADER_OCTETS;
    at = frame + captured;
    if (at <= file.length) packets.push(file.subarray(frame + ETHERNET_HEADER_OCTETS, at));
  }
  return packets;
}

/** Octets of an IP packet as its own header says. */
export function ipLength(packet: Buffer): number {
  return packet.readUInt8(0) >> 4 === 6 ? 40 + packet.readUInt16BE(4) : packet.readUInt16BE(2);
}

/** Octets of an IP packet's own header; IPv6 without extension headers. */
export function ipHeaderLength(packet: Buffer): number {
  return packet.readUInt8(0) >> 4 === 6 ? 40 : (packet.readUInt8(0) & 15) * 4;
}
