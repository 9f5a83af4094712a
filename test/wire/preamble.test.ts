/** The preamble of a message: golden octets, pushed and pulled in place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import {
  dataOffset,
  FLAG,
  flagsOf,
  linkIdOf,
  orderOf,
  PREAMBLE_OCTETS,
  prevOf,
  pull,
  pushOrderedPreamble,
  pushPreamble,
  seqOf,
  TYPE,
  typeOf,
} from "../../src/wire/preamble.ts";

/** A slot whose memory is dirty, with a packet of two octets. */
function dirtySlot(): { arena: Arena; slot: number } {
  const arena = new Arena(2);
  const slot = arena.take();
  arena.octets.fill(0xa5);
  arena.write(slot, Uint8Array.of(0x45, 0x00));
  return { arena, slot };
}

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

test("a DATA preamble stands on the wire as in the specification", () => {
  const { arena, slot } = dirtySlot();
  pushPreamble(arena, slot, TYPE.data, FLAG.ackNow, 0xabcdef, 2 ** 32 + 7);
  assert.equal(hex(arena.read(slot)), "92abcdef" + "00000007" + "4500");
  assert.equal(arena.seq[slot], 2 ** 32 + 7);
});

test("an ordered DATA preamble carries order and prev behind the sequence number", () => {
  const { arena, slot } = dirtySlot();
  pushOrderedPreamble(arena, slot, FLAG.copy, 0x000001, 0x01020304, 0x1abcdef, 0x0203);
  assert.equal(hex(arena.read(slot)), "95000001" + "01020304" + "abcdef" + "0203" + "4500");
});

test("what is pushed is read back, and pulling leaves the packet", () => {
  const field = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
  const fields = fc.tuple(field(4), field(24), fc.maxSafeNat(), field(24), field(16));
  fc.assert(
    fc.property(fields, ([flags, linkId, seq, order, prev]) => {
      const { arena, slot } = dirtySlot();
      pushOrderedPreamble(arena, slot, flags, linkId, seq, order, prev);
      assert.equal(typeOf(arena, slot), TYPE.data);
      assert.equal(flagsOf(arena, slot), flags | FLAG.order);
      assert.equal(linkIdOf(arena, slot), linkId);
      assert.equal(seqOf(arena, slot), seq % 2 ** 32);
      assert.equal(orderOf(arena, slot), order);
      assert.equal(prevOf(arena, slot), prev);
      pull(arena, slot, dataOffset(flagsOf(arena, slot)));
      assert.equal(hex(arena.read(slot)), "4500");
    }),
  );
});

test("without order fields the inner packet follows at once", () => {
  assert.equal(dataOffset(FLAG.ackNow), PREAMBLE_OCTETS);
});
