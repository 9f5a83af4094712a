/**
 * The classic pcap file with nanoseconds, as tcpdump and Wireshark read it (draft-ietf-opsawg-pcap):
 * 24 octets of file header, then records of 16 octets of header and the packet. In this machine's byte
 * order, as the records come.
 */
import { endianness } from "node:os";

/** Nanoseconds instead of microseconds in every record. */
const MAGIC = 0xa1b23c4d;
const VERSION = { major: 2, minor: 4 } as const;
/** Packets begin with their IPv4 or IPv6 header. */
const LINKTYPE_RAW = 101;

export const PCAP_HEADER_OCTETS = 24;
const RECORD_HEADER_OCTETS = 16;
/** Where a record says how much of its packet it holds. */
const CAPTURED_AT = 8;

const LITTLE = endianness() === "LE";

/** @param snapOctets - the longest record's */
export function pcapHeader(snapOctets: number): Buffer {
  const header = Buffer.alloc(PCAP_HEADER_OCTETS);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  view.setUint32(0, MAGIC, LITTLE);
  view.setUint16(4, VERSION.major, LITTLE);
  view.setUint16(6, VERSION.minor, LITTLE);
  view.setUint32(16, snapOctets, LITTLE);
  view.setUint32(20, LINKTYPE_RAW, LITTLE);
  return header;
}

/**
 * As many whole records from the front of `chunk` as fit into `octetsMax`.
 *
 * @param chunk - whole records
 */
export function takeRecords(
  chunk: Buffer,
  octetsMax: number,
): { readonly octets: number; readonly packets: number } {
  let octets = 0;
  let packets = 0;
  while (octets + RECORD_HEADER_OCTETS <= chunk.length) {
    const at = octets + CAPTURED_AT;
    const captured = LITTLE ? chunk.readUInt32LE(at) : chunk.readUInt32BE(at);
    const next = octets + RECORD_HEADER_OCTETS + captured;
    if (next > octetsMax || next > chunk.length) break;
    octets = next;
    packets += 1;
  }
  return { octets, packets };
}
