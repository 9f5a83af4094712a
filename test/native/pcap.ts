/** Reads pcap records and the headers of outer packets in them, with code of its own. */
import assert from "node:assert/strict";

export interface Captured {
  /** Nanoseconds since 1970. */
  readonly ns: bigint;
  /** Octets that the packet had. */
  readonly original: number;
  readonly octets: Buffer;
}

/** Records without a file header, in this machine's byte order. */
export function recordsOf(stream: Buffer): Captured[] {
  const records: Captured[] = [];
  for (let at = 0; at < stream.length; ) {
    const captured = stream.readUInt32LE(at + 8);
    const ns =
      BigInt(stream.readUInt32LE(at)) * 1_000_000_000n + BigInt(stream.readUInt32LE(at + 4));
    assert.ok(stream.readUInt32LE(at + 4) < 1e9);
    assert.ok(at + 16 + captured <= stream.length, "only whole records are read");
    const octets = stream.subarray(at + 16, at + 16 + captured);
    records.push({ ns, original: stream.readUInt32LE(at + 12), octets });
    at += 16 + captured;
  }
  return records;
}

/** The headers of one outer packet; `checksums` says which is wrong. */
export function decodeOuter(packet: Buffer) {
  const family = (packet[0] as number) >> 4;
  const v4 = family === 4;
  const ip = v4 ? ((packet[0] as number) & 15) * 4 : 40;
  const protocol = packet[v4 ? 9 : 6] as number;
  const l4 = protocol === 17 ? 8 : protocol === 6 ? (packet[ip + 12] as number) >> 2 : 0;
  const [from, octets] = v4 ? [12, 4] : [8, 16];
  const total = v4 ? packet.readUInt16BE(2) : 40 + packet.readUInt16BE(4);
  assert.equal(total, packet.length, "the length in the IP header");
  if (protocol === 17) assert.equal(packet.readUInt16BE(ip + 4), packet.length - ip);
  return {
    family,
    protocol,
    trafficClass: v4 ? (packet[1] as number) : (packet.readUInt32BE(0) >>> 20) & 0xff,
    hopLimit: packet[v4 ? 8 : 7] as number,
    source: packet.subarray(from, from + octets),
    destination: packet.subarray(from + octets, from + 2 * octets),
    sourcePort: l4 > 0 ? packet.readUInt16BE(ip) : 0,
    destinationPort: l4 > 0 ? packet.readUInt16BE(ip + 2) : 0,
    seq: protocol === 6 ? packet.readUInt32BE(ip + 4) : 0,
    checksums: checksums(packet, ip, protocol, packet.subarray(from, from + 2 * octets)),
    payload: packet.subarray(ip + l4),
  };
}

function checksums(packet: Buffer, ip: number, protocol: number, addresses: Buffer): string {
  if (ip !== 40 && sum16(packet.subarray(0, ip)) !== 0xffff) return "wrong in the IP header";
  if (protocol !== 6 && protocol !== 17) return "right";
  const rest = packet.subarray(ip);
  const pseudo = Buffer.concat([addresses, Buffer.of(0, protocol, rest.length >> 8, rest.length)]);
  return sum16(Buffer.concat([pseudo, rest])) === 0xffff ? "right" : "wrong behind the IP header";
}

/** The Internet checksum's sum (RFC 1071), not inverted. */
function sum16(octets: Buffer): number {
  let sum = 0;
  octets.forEach((octet, index) => {
    sum += index % 2 === 0 ? octet * 256 : octet;
  });
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}
