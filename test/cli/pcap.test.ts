/** The pcap file's header, and cutting records at a limit. */
import assert from "node:assert/strict";
import { endianness } from "node:os";
import { test } from "node:test";
import { PCAP_HEADER_OCTETS, pcapHeader, takeRecords } from "../../src/cli/pcap.ts";

const LITTLE = endianness() === "LE";

function record(octets: number): Buffer {
  const whole = Buffer.alloc(16 + octets, 0xab);
  if (LITTLE) whole.writeUInt32LE(octets, 8);
  else whole.writeUInt32BE(octets, 8);
  return whole;
}

test("the header says nanoseconds, version 2.4, the longest record and packets without a link layer", () => {
  const header = pcapHeader(96);
  assert.equal(header.length, PCAP_HEADER_OCTETS);
  const words = Buffer.from(header);
  if (LITTLE) {
    words.subarray(0, 4).swap32();
    words.subarray(4, 8).swap16();
    words.subarray(8).swap32();
  }
  assert.equal(words.toString("hex"), "a1b23c4d0002000400000000000000000000006000000065");
});

const CHUNK = Buffer.concat([record(0), record(10), record(100)]);
// biome-ignore format: a table reads in columns
const limits: [octetsMax: number, octets: number, packets: number][] = [
  [0,        0,   0],
  [15,       0,   0],
  [16,       16,  1],
  [41,       16,  1],
  [42,       42,  2],
  [157,      42,  2],
  [158,      158, 3],
  [Infinity, 158, 3],
];
for (const [octetsMax, octets, packets] of limits) {
  test(`of three records ${packets} fit into ${octetsMax} octets`, () => {
    assert.deepEqual(takeRecords(CHUNK, octetsMax), { octets, packets });
  });
}
