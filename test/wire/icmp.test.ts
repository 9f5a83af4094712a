/** Answers to packets that are too long: octet for octet, and every packet that must not be answered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../../src/core/arena.ts";
import { writeTooBig } from "../../src/wire/icmp.ts";
import { PROTOCOL } from "../../src/wire/inner.ts";
import { innerPacket } from "../bond/inner-packets.ts";

const MTU = 1349;

/** The answer's octets; null: none is given. */
function answerTo(packet: Uint8Array, mtu = MTU): Uint8Array | null {
  const arena = new Arena(2);
  const [slot, into] = [arena.take(), arena.take()];
  arena.write(slot, packet);
  const answered = writeTooBig(arena, slot, into, mtu);
  assert.deepEqual(arena.read(slot), packet, "the packet itself stays as it is");
  return answered ? arena.read(into) : null;
}

/** RFC 1071: 0 over everything that has a right checksum in it. */
function sumOf(...parts: Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    const padded = part.length % 2 === 0 ? part : Uint8Array.of(...part, 0);
    for (let at = 0; at < padded.length; at += 2) {
      sum += ((padded[at] as number) << 8) | (padded[at + 1] as number);
    }
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const word = (octets: Uint8Array, at: number) => new DataView(octets.buffer).getUint16(at);

for (const bytes of [1400, 1401]) {
  test(`IPv4: fragmentation needed with the MTU and the packet's beginning, ${bytes} octets`, () => {
    const packet = innerPacket({ bytes });
    const answer = answerTo(packet);
    assert.ok(answer !== null);
    assert.equal(answer.length, 576);
    assert.deepEqual([answer[0], answer[9], word(answer, 2)], [0x45, PROTOCOL.icmp, 576]);
    assert.deepEqual(answer.subarray(12, 16), packet.subarray(16, 20), "from the destination");
    assert.deepEqual(answer.subarray(16, 20), packet.subarray(12, 16), "to the source");
    assert.deepEqual([answer[20], answer[21], word(answer, 26)], [3, 4, MTU]);
    assert.deepEqual(answer.subarray(28), packet.subarray(0, 548));
    assert.equal(sumOf(answer.subarray(0, 20)), 0);
    assert.equal(sumOf(answer.subarray(20)), 0);
  });

  test(`IPv6: packet too big with the MTU and the packet's beginning, ${bytes} octets`, () => {
    const packet = innerPacket({ version: 6, bytes });
    const answer = answerTo(packet);
    assert.ok(answer !== null);
    assert.equal(answer.length, 1280);
    assert.deepEqual([answer[6], word(answer, 4)], [PROTOCOL.icmp6, 1240]);
    assert.deepEqual(answer.subarray(8, 24), packet.subarray(24, 40));
    assert.deepEqual(answer.subarray(24, 40), packet.subarray(8, 24));
    assert.deepEqual([answer[40], answer[41], word(answer, 46)], [2, 0, MTU]);
    assert.deepEqual(answer.subarray(48), packet.subarray(0, 1232));
    const pseudo = Uint8Array.of(0, 0, 1240 >> 8, 1240 & 255, 0, 0, 0, PROTOCOL.icmp6);
    assert.equal(sumOf(answer.subarray(8, 40), pseudo, answer.subarray(40)), 0);
  });
}

test("IPv6 is never told less than 1280", () => {
  const answer = answerTo(innerPacket({ version: 6, bytes: 1400 }), 1249);
  assert.equal(word(answer as Uint8Array, 46), 1280);
  assert.equal(answerTo(innerPacket({ version: 6, bytes: 1280 }), 1249), null);
});

/** A packet with octets of its own at some places. */
function changed(version: 4 | 6, at: number, octets: readonly number[]): Uint8Array {
  const packet = innerPacket({ version, bytes: 1400 });
  packet.set(octets, at);
  return packet;
}

const icmp = (version: 4 | 6, icmpType: number) => {
  const protocol = version === 4 ? PROTOCOL.icmp : PROTOCOL.icmp6;
  return innerPacket({ version, protocol, sourcePort: icmpType << 8, bytes: 1400 });
};

/** Behind a header of 8 octets that says what comes next. */
function extended(kind: number, next: number, rest: readonly number[], type: number): Uint8Array {
  const packet = changed(6, 6, [kind]);
  packet.set([next, 0, ...rest], 40);
  packet.set([type, 0, 0, 0], 48);
  return packet;
}

// biome-ignore format: a table reads in columns
const silent: [name: string, packet: Uint8Array][] = [
  ["IPv4: to multicast",             changed(4, 16, [224, 0, 0, 1])],
  ["IPv4: to broadcast",             changed(4, 16, [255, 255, 255, 255])],
  ["IPv4: from nobody",              changed(4, 12, [0, 0, 0, 0])],
  ["IPv4: from loopback",            changed(4, 12, [127, 0, 0, 1])],
  ["IPv4: from multicast",           changed(4, 12, [239, 0, 0, 1])],
  ["IPv4: a later fragment",         innerPacket({ fragment: 0x4001, bytes: 1400 })],
  ["IPv4: an ICMP error",            icmp(4, 3)],
  ["IPv4: an ICMP time exceeded",    icmp(4, 11)],
  ["IPv6: to multicast",             changed(6, 24, [0xff, 2])],
  ["IPv6: from nobody",              changed(6, 8, new Array<number>(16).fill(0))],
  ["IPv6: from loopback",            changed(6, 8, [...new Array<number>(15).fill(0), 1])],
  ["IPv6: an ICMPv6 error",          icmp(6, 2)],
  ["IPv6: an ICMPv6 redirect",       icmp(6, 137)],
  ["IPv6: an error behind options",  extended(60, PROTOCOL.icmp6, [], 1)],
  ["IPv6: a later fragment",         extended(44, PROTOCOL.udp, [0, 8], 0)],
  ["neither",                        changed(4, 0, [0x20])],
];
for (const [name, packet] of silent) {
  test(`no answer, ${name}`, () => assert.equal(answerTo(packet), null));
}

// biome-ignore format: a table reads in columns
const answered: [name: string, packet: Uint8Array][] = [
  ["IPv4: an echo",                 icmp(4, 8)],
  ["IPv4: a first fragment",        innerPacket({ fragment: 0x6000, bytes: 1400 })],
  ["IPv6: an echo",                 icmp(6, 128)],
  ["IPv6: an echo behind options",  extended(60, PROTOCOL.icmp6, [], 128)],
  ["IPv6: a first fragment",        extended(44, PROTOCOL.udp, [0, 1], 0)],
];
for (const [name, packet] of answered) {
  test(`an answer, ${name}`, () => assert.ok(answerTo(packet) !== null));
}
