/** Sealing against `node:crypto`, over loopback sockets. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { SLOT_SIZE } from "../../src/core/arena.ts";
import { SUITE } from "../../src/native/native.ts";
import { FLAG, TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  countersText,
  GCM_KEYS,
  gcmSealed,
  giveAll,
  type Harness,
  harness,
  KEYS,
  key,
  loopbackPair,
  native,
  preamble,
  put,
  sealed,
  slots,
  transmitBy,
} from "./harness.ts";
import { MESSAGES } from "./message-classes.ts";
import { inNamespace } from "./namespace.ts";

const LINK = 0xabcdef;

const octetsOf = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
const hexOf = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

// RFC 4231 section 4.
// biome-ignore format: a table reads in columns
const vectors: [key: Uint8Array, message: Uint8Array, tag: string][] = [
  [new Uint8Array(20).fill(0x0b), octetsOf("4869205468657265"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
  [octetsOf("4a656665"), octetsOf("7768617420646f2079612077616e7420666f72206e6f7468696e673f"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
  [new Uint8Array(20).fill(0xaa), new Uint8Array(50).fill(0xdd), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"],
  [octetsOf("0102030405060708090a0b0c0d0e0f10111213141516171819"), new Uint8Array(50).fill(0xcd), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"],
  [new Uint8Array(20).fill(0x0c), octetsOf("546573742057697468205472756e636174696f6e"), "a3b6167473100ee06e0c796c2955552b"],
  [new Uint8Array(131).fill(0xaa), Uint8Array.from(Buffer.from("Test Using Larger Than Block-Size Key - Hash Key First")), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"],
];

test("HMAC-SHA256 gives the tags of RFC 4231", () => {
  for (const [macKey, message, tag] of vectors) {
    assert.equal(hexOf(native.hmac(macKey, message, tag.length / 2)), tag);
  }
});

test("HMAC-SHA256 agrees with node:crypto at every length up to a full slot", () => {
  const message = Uint8Array.from({ length: SLOT_SIZE }, (_, index) => (index * 13) & 0xff);
  for (let length = 0; length <= SLOT_SIZE; length += 1) {
    const part = message.subarray(0, length);
    const expected = createHmac("sha256", key(9)).update(part).digest("hex");
    assert.equal(hexOf(native.hmac(key(9), part, 32)), expected);
  }
});

inNamespace(import.meta.filename, () => {
  const sequences = [0, 1, 0xffff_ffff, 0x1_0000_0000, 2 ** 53 - 1];

  for (const [name, type, flags, keyOf] of MESSAGES) {
    for (const dataTag of [8, 10, 12, 16]) {
      test(`${name} is sealed as node:crypto does, DATA tag of ${dataTag} octets`, (context) => {
        const at = harness(context);
        const { server, client } = loopbackPair(at.engine, "raw", 4);
        const transmit = transmitBy(at.engine, client, { ...KEYS, dataTag });
        for (const seq of sequences) {
          const payload = Uint8Array.from({ length: 5 + (seq % 1400) }, (_, index) => index & 0xff);
          const message = concat(preamble(type, flags, LINK, seq), payload);
          const wire = sendOne(at, transmit, server, message, seq);
          const tagOctets = type === TYPE.data ? dataTag : 16;
          assert.deepEqual(wire, sealed(KEYS[keyOf] as Uint8Array, seq, message, tagOctets));
        }
      });
    }
  }

  for (const flags of [0, FLAG.order]) {
    test(`DATA is encrypted as node:crypto does, flags ${flags}`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, "udp", 6);
      const transmit = transmitBy(at.engine, client, GCM_KEYS);
      for (const seq of sequences) {
        const header = concat(preamble(TYPE.data, flags, LINK, seq), new Uint8Array(flags ? 5 : 0));
        for (const length of [0, 1, 16, 1400]) {
          const payload = Uint8Array.from({ length }, (_, index) => (index * 3) & 0xff);
          const wire = sendOne(at, transmit, server, concat(header, payload), seq);
          assert.deepEqual(wire, gcmSealed(GCM_KEYS, seq, header, payload));
        }
      }
    });
  }

  test("a packet leaves its slot as it was and may be sent again", (context) => {
    for (const keys of [KEYS, GCM_KEYS]) {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, "udp", 4);
      const transmit = transmitBy(at.engine, client, keys);
      const message = concat(preamble(TYPE.data, 0, LINK, 7), new Uint8Array(100).fill(9));
      const first = sendOne(at, transmit, server, message, 7);
      assert.deepEqual(sendOne(at, transmit, server, message, 7), first);
    }
  });

  test("a suite with another tag length is refused by both sides of the addon", (context) => {
    const { engine } = harness(context);
    for (const dataTag of [0, 7, 9, 11, 17]) {
      assert.throws(() => engine.addTransmit({ ...KEYS, dataTag }), TypeError);
    }
    const bad = { ...KEYS, suite: SUITE.aes128Gcm, dataTag: 10 };
    assert.throws(() => engine.addTransmit(bad), TypeError);
  });
});

/** Seals and sends one message, gives back what arrives. */
function sendOne(
  at: Harness,
  transmit: number,
  server: number,
  message: Uint8Array,
  seq: number,
): Uint8Array {
  const batch = slots(at.arena, 2);
  const [slot, free] = batch as unknown as [number, number];
  put(at.arena, slot, message, seq);
  assert.equal(at.engine.send(transmit, batch, 1), 1);
  assert.deepEqual(at.arena.read(slot), message, "the slot's packet is unchanged");
  const received = Int32Array.of(free);
  assert.equal(at.engine.receivePlain(server, received, 1), 1, countersText(at.arena));
  const wire = at.arena.read(free);
  giveAll(at.arena, batch);
  return wire;
}
