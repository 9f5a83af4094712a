/** Clamping the MSS of inner SYNs: by tables, and against checksums computed from scratch. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import { InnerHeader, readInner } from "../../src/wire/inner.ts";
import { clampMss } from "../../src/wire/mss.ts";

const SYN = 0x02;
const SYN_ACK = 0x12;
const ACK = 0x10;

interface Segment {
  readonly version: 4 | 6;
  readonly flags: number;
  readonly options: readonly number[];
  readonly payload?: number;
}

/** A packet with a right TCP checksum. */
function packetOf({ version, flags, options, payload = 0 }: Segment): Uint8Array {
  const padded = [...options];
  while (padded.length % 4 !== 0) padded.push(0);
  const ipOctets = version === 4 ? 20 : 40;
  const tcpOctets = 20 + padded.length + payload;
  const packet = new Uint8Array(ipOctets + tcpOctets);
  const view = new DataView(packet.buffer);
  packet[0] = version === 4 ? 0x45 : 0x60;
  if (version === 4) {
    view.setUint16(2, packet.length);
    packet[9] = 6;
    packet.set([10, 0, 0, 1, 10, 0, 0, 2], 12);
  } else {
    view.setUint16(4, tcpOctets);
    packet[6] = 6;
    packet.fill(0x20, 8, 24).fill(0x21, 24, 40);
  }
  view.setUint16(ipOctets, 40_000);
  view.setUint16(ipOctets + 2, 443);
  packet[ipOctets + 12] = ((20 + padded.length) / 4) << 4;
  packet[ipOctets + 13] = flags;
  packet.set(padded, ipOctets + 20);
  packet.fill(0xa7, ipOctets + 20 + padded.length);
  view.setUint16(ipOctets + 16, checksumOf(packet, version));
  return packet;
}

/** RFC 9293 section 3.1 with the pseudo-header; 0 over a packet whose checksum is right. */
function checksumOf(packet: Uint8Array, version: 4 | 6): number {
  const ipOctets = version === 4 ? 20 : 40;
  const addresses = version === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const tcp = packet.subarray(ipOctets);
  const all = [...addresses, 0, 6, tcp.length >> 8, tcp.length & 0xff, ...tcp];
  let sum = 0;
  all.forEach((octet, index) => {
    sum += index % 2 === 0 ? octet << 8 : octet;
  });
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function clamp(packet: Uint8Array, mtu: number): { changed: boolean; octets: Uint8Array } {
  const arena = new Arena(2);
  const slot = arena.take();
  arena.write(slot, packet);
  const header = new InnerHeader();
  readInner(arena, slot, header);
  const changed = clampMss(arena, slot, header, mtu);
  return { changed, octets: arena.read(slot) };
}

const mssOption = (mss: number) => [2, 4, mss >> 8, mss & 0xff];

// biome-ignore format: a table reads in columns
const table: [what: string, segment: Segment, mtu: number, mss: number | null][] = [
  ["a SYN over IPv4", { version: 4, flags: SYN, options: mssOption(1460) }, 1449, 1409],
  ["a SYN over IPv6", { version: 6, flags: SYN, options: mssOption(1440) }, 1429, 1369],
  ["a SYN and ACK", { version: 4, flags: SYN_ACK, options: mssOption(1460) }, 1449, 1409],
  ["a SYN whose MSS lies at an odd offset", { version: 4, flags: SYN, options: [1, ...mssOption(9000)] }, 1449, 1409],
  ["a SYN with other options before", { version: 4, flags: SYN, options: [4, 2, 3, 3, 7, ...mssOption(1460)] }, 1449, 1409],
  ["a SYN that promises less", { version: 4, flags: SYN, options: mssOption(1200) }, 1449, null],
  ["a SYN that promises just as much", { version: 4, flags: SYN, options: mssOption(1409) }, 1449, null],
  ["a SYN without the option", { version: 4, flags: SYN, options: [1, 1, 4, 2] }, 1449, null],
  ["an option of length 0", { version: 4, flags: SYN, options: [3, 0, ...mssOption(1460), 0, 0] }, 1449, null],
  ["an option longer than the header", { version: 4, flags: SYN, options: [3, 40, 2, 4] }, 1449, null],
  ["what is no SYN", { version: 4, flags: ACK, options: mssOption(1460) }, 1449, null],
];

for (const [what, segment, mtu, mss] of table) {
  test(`${what} is ${mss === null ? "left alone" : `held to ${mss}`}`, () => {
    const packet = packetOf(segment);
    const { changed, octets } = clamp(packet, mtu);
    assert.equal(changed, mss !== null);
    if (mss === null) {
      assert.deepEqual(octets, packet);
      return;
    }
    const options = segment.options.length - 2;
    const at = (segment.version === 4 ? 20 : 40) + 20 + options;
    assert.equal(((octets[at] as number) << 8) | (octets[at + 1] as number), mss);
    assert.equal(checksumOf(octets, segment.version), 0);
  });
}

test("whatever stands in the options, nothing but an MSS and the checksum changes", () => {
  const options = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 });
  const version = fc.constantFrom<4 | 6>(4, 6);
  const property = fc.property(options, version, fc.nat(40), (bytes, ip, payload) => {
    const packet = packetOf({ version: ip, flags: SYN, options: bytes, payload });
    const { changed, octets } = clamp(packet, 700);
    if (!changed) assert.deepEqual(octets, packet);
    else assert.equal(checksumOf(octets, ip) % 0xffff, 0);
    const differing = octets.filter((octet, index) => octet !== packet[index]).length;
    assert.ok(differing <= 4);
  });
  fc.assert(property, { numRuns: 500 });
});

test("a packet cut off in its header is left alone", () => {
  const packet = packetOf({ version: 4, flags: SYN, options: mssOption(1460) }).slice(0, 38);
  assert.deepEqual(clamp(packet, 1449), { changed: false, octets: packet });
});
