/** IPv4 fragments against a naive model that works on whole octet strings, and put together again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import { FRAGMENTS_MAX, fragment, mayFragment } from "../../src/wire/fragment.ts";
import { headerChecksum, innerPacket } from "../bond/inner-packets.ts";

interface Datagram {
  readonly options: readonly number[];
  readonly payload: number;
  /** In units of 8 octets, of a packet that is a fragment already. */
  readonly offset: number;
  readonly more: boolean;
}

function headerOf(options: readonly number[], total: number, flags: number): Uint8Array {
  const padded = [...options];
  while (padded.length % 4 !== 0) padded.push(0);
  const header = new Uint8Array(20 + padded.length);
  header.set([0x40 | (header.length / 4), 0x10, total >> 8, total & 255, 0xab, 0xcd]);
  header.set([flags >> 8, flags & 255, 63, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1], 6);
  header.set(padded, 20);
  const sum = headerChecksum(header);
  header.set([sum >> 8, sum & 255], 10);
  return header;
}

function packetOf({ options, payload, offset, more }: Datagram): Uint8Array {
  const padded = Math.ceil(options.length / 4) * 4;
  const header = headerOf(options, 20 + padded + payload, (more ? 0x2000 : 0) | offset);
  return Uint8Array.of(...header, ...Array.from({ length: payload }, (_, at) => (at * 7) & 255));
}

/** What RFC 791 says, slowly. */
function naive(datagram: Datagram, mtu: number): Uint8Array[] {
  const whole = packetOf(datagram);
  const headerOctets = ((whole[0] as number) & 15) * 4;
  let rest = whole.subarray(headerOctets);
  let options: readonly number[] = datagram.options;
  let { offset } = datagram;
  const pieces: Uint8Array[] = [];
  while (rest.length > 0) {
    const padded = Math.ceil(options.length / 4) * 4;
    const room = mtu - 20 - padded;
    const last = pieces.length > 0 && rest.length <= Math.floor(room / 8) * 8;
    const data = rest.subarray(0, last ? rest.length : Math.floor(room / 8) * 8);
    rest = rest.subarray(data.length);
    const more = rest.length > 0 || datagram.more ? 0x2000 : 0;
    const header = headerOf(options, 20 + padded + data.length, more | offset);
    pieces.push(Uint8Array.of(...header, ...data));
    offset += data.length / 8;
    options = copiedOf(datagram.options);
  }
  return pieces;
}

/** Options are numbers below: each is 1 octet, or has its length as its second. */
function copiedOf(options: readonly number[]): number[] {
  const copied: number[] = [];
  for (let at = 0; at < options.length && options[at] !== 0; ) {
    const length = options[at] === 1 ? 1 : (options[at + 1] as number);
    if ((options[at] as number) >= 0x80) copied.push(...options.slice(at, at + length));
    at += length;
  }
  return copied;
}

function cut(packet: Uint8Array, mtu: number): Uint8Array[] {
  const arena = new Arena(16);
  const slot = arena.take();
  arena.write(slot, packet);
  const into = new Int32Array(FRAGMENTS_MAX);
  const count = fragment(arena, slot, mtu, into);
  return Array.from(into.subarray(0, count), (piece) => arena.read(piece));
}

const OPTIONS = fc
  .array(
    fc.constantFrom([1], [0x94, 4, 0, 0], [7, 7, 4, 1, 2, 3, 4], [0x83, 3, 9], [68, 4, 5, 0]),
    {
      maxLength: 5,
    },
  )
  .map((list) => list.flat());

test("fragments are those of the naive model, and together they are the packet", () => {
  const datagrams = fc.record({
    options: OPTIONS,
    payload: fc.integer({ min: 1250, max: 1900 }),
    offset: fc.constantFrom(0, 10, 4000),
    more: fc.boolean(),
  });
  fc.assert(
    fc.property(datagrams, fc.integer({ min: 576, max: 1269 }), (datagram, mtu) => {
      const whole = packetOf(datagram);
      const pieces = cut(whole, mtu);
      assert.deepEqual(pieces, naive(datagram, mtu));
      assert.ok(pieces.every((piece) => piece.length <= mtu));
      const data = pieces.flatMap((piece) => [...piece.subarray(((piece[0] as number) & 15) * 4)]);
      assert.deepEqual(data, [...whole.subarray(((whole[0] as number) & 15) * 4)]);
    }),
  );
});

test("a fragment that would end behind the longest packet there is stays whole, and its flags as they are", () => {
  const last = { options: [], payload: 1400, more: false };
  const fits = Math.floor((65_535 - 20 - 1400) / 8);
  assert.equal(cut(packetOf({ ...last, offset: fits }), 1300).length, 2);
  for (const offset of [fits + 1, 0x1fff]) {
    assert.deepEqual(cut(packetOf({ ...last, offset }), 1300), []);
  }
});

test("only IPv4 without DF may be cut", () => {
  const may = (packet: Uint8Array) => {
    const arena = new Arena(2);
    const slot = arena.take();
    arena.write(slot, packet);
    return mayFragment(arena, slot);
  };
  assert.equal(may(innerPacket({})), true);
  assert.equal(may(innerPacket({ fragment: 0x2000 })), true);
  assert.equal(may(innerPacket({ fragment: 0x4000 })), false);
  assert.equal(may(innerPacket({ version: 6 })), false);
});

test("without slots for all pieces nothing is changed", () => {
  const packet = packetOf({ options: [], payload: 1400, offset: 0, more: false });
  const arena = new Arena(2);
  const slot = arena.take();
  arena.write(slot, packet);
  assert.equal(fragment(arena, slot, 600, new Int32Array(FRAGMENTS_MAX)), 0);
  assert.equal(arena.freeCount, 1);
  assert.deepEqual(arena.read(slot), packet);
});

test("a header that lies about its length is left alone, whatever its octets", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 1900 }), (octets) => {
      octets[0] = 0x40 | ((octets[0] as number) & 15);
      const pieces = cut(octets, 576);
      assert.ok(pieces.every((piece) => piece.length <= 576));
    }),
  );
});
