/** Super-packets are cut as the kernel would: against packets built one by one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PACKET_OCTETS_MAX } from "../../src/core/arena.ts";
import { native } from "./harness.ts";
import { assertSound, build, cutByHand, FLAG, type Segment, superPacket } from "./packets.ts";

const payloads = fc.uint8Array({ minLength: 1, maxLength: 9000 });
const options = fc.constantFrom(0, 4, 12, 40).map((octets) => new Uint8Array(octets).fill(1));

const tcpSegments: fc.Arbitrary<Segment> = fc.record({
  v6: fc.boolean(),
  tcp: fc.constant(true),
  payload: payloads,
  seq: fc.nat(0xffff_ffff),
  ack: fc.nat(0xffff_ffff),
  flags: fc.nat(0xff),
  window: fc.nat(0xffff),
  id: fc.nat(0xffff),
  trafficClass: fc.nat(255),
  hopLimit: fc.integer({ min: 1, max: 255 }),
  dontFragment: fc.boolean(),
  options,
});

const udpSegments: fc.Arbitrary<Segment> = fc.record({
  v6: fc.boolean(),
  tcp: fc.constant(false),
  payload: payloads,
  id: fc.nat(0xffff),
});

function assertCut(segment: Segment, gsoSize: number): void {
  const cut = native.segment(superPacket(segment, gsoSize));
  assert.ok(cut !== null);
  for (const packet of cut) assertSound(packet);
  assert.deepEqual(cut, cutByHand(segment, gsoSize));
}

test("TCP super-packets are cut octet for octet as by hand", () => {
  const sizes = fc.integer({ min: 1, max: 1460 });
  const property = fc.property(tcpSegments, sizes, (segment, gsoSize) => {
    // Each segment is compared whole, so a thousand tiny ones say no more than a few.
    assertCut({ ...segment, payload: segment.payload.subarray(0, gsoSize * 40) }, gsoSize);
  });
  fc.assert(property, { numRuns: 300 });
});

test("UDP super-packets are cut octet for octet as by hand", () => {
  const sizes = fc.integer({ min: 64, max: 1472 });
  const property = fc.property(udpSegments, sizes, (segment, gsoSize) => {
    assertCut(segment, gsoSize);
  });
  fc.assert(property, { numRuns: 200 });
});

test("FIN and PSH stay on the last segment, CWR on the first", () => {
  const flags = FLAG.ack | FLAG.fin | FLAG.psh | FLAG.cwr;
  const segment: Segment = { v6: false, tcp: true, payload: new Uint8Array(2500), flags };
  const cut = native.segment(superPacket(segment, 1000)) ?? [];
  assert.deepEqual(
    cut.map((packet) => packet[33]),
    [FLAG.ack | FLAG.cwr, FLAG.ack, FLAG.ack | FLAG.fin | FLAG.psh],
  );
});

test("a checksum left open is completed without cutting", () => {
  for (const v6 of [false, true]) {
    for (const tcp of [false, true]) {
      const segment: Segment = { v6, tcp, payload: Uint8Array.of(1, 2, 3) };
      assert.deepEqual(native.segment(superPacket(segment, 0)), [build(segment).octets]);
    }
  }
});

test("a UDP checksum that comes out as zero is sent as all ones", () => {
  const plain: Segment = { v6: false, tcp: false, payload: Uint8Array.of(0, 0) };
  const sum = build(plain, false).octets.slice(26, 28);
  // Adding the checksum itself to the payload brings the sum to all ones, the checksum to zero.
  const zero: Segment = { ...plain, payload: sum };
  const [packet] = native.segment(superPacket(zero, 0)) ?? [];
  assert.deepEqual(packet?.slice(26, 28), Uint8Array.of(0xff, 0xff));
});

function damaged(change: (octets: Uint8Array) => Uint8Array | undefined): Uint8Array {
  const octets = superPacket({ v6: false, tcp: true, payload: new Uint8Array(3000) }, 1000);
  return change(octets) ?? octets;
}

function setAt(at: number, value: number) {
  return (octets: Uint8Array) => {
    octets[at] = value;
    return undefined;
  };
}

// biome-ignore format: a table reads in columns
const refused: [name: string, octets: Uint8Array][] = [
  ["no packet at all",                  new Uint8Array(10)],
  ["segments but no packet",            Uint8Array.of(1, 1, 40, 0, 0, 1, 20, 0, 16, 0)],
  ["less than an offload header",       new Uint8Array(9)],
  ["one octet missing",                 damaged((octets) => octets.slice(0, -1))],
  ["one octet too many",                damaged((octets) => Uint8Array.from([...octets, 0]))],
  ["no checksum to complete",           damaged(setAt(0, 0))],
  ["legacy UDP fragmentation",          damaged(setAt(1, 3))],
  ["the other family",                  damaged(setAt(1, 4))],
  ["segments without octets",           damaged((octets) => { octets.fill(0, 4, 6); return undefined; })],
  ["a transport header elsewhere",      damaged(setAt(6, 24))],
  ["a checksum field elsewhere",        damaged(setAt(8, 6))],
  ["a version that is none",            damaged(setAt(10, 0x55))],
  ["an IP header shorter than one",     damaged(setAt(10, 0x44))],
  ["a TCP header longer than the rest", damaged((octets) => { octets[42] = 0xf0; return octets.slice(0, 60); })],
  ["a TCP header shorter than one",     damaged(setAt(42, 0x40))],
  ["another protocol",                  damaged(setAt(19, 17))],
];

for (const [name, octets] of refused) {
  test(`a super-packet with ${name} is refused`, () => assert.equal(native.segment(octets), null));
}

test("a segment longer than a slot is refused", () => {
  const segment: Segment = { v6: false, tcp: true, payload: new Uint8Array(4000) };
  assert.equal(native.segment(superPacket(segment, PACKET_OCTETS_MAX - 40 + 1)), null);
  assert.notEqual(native.segment(superPacket(segment, PACKET_OCTETS_MAX - 40)), null);
});
