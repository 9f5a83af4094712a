/** Sealing and opening against `node:crypto`, over loopback sockets. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { SLOT_SIZE } from "../../src/core/arena.ts";
import { type ContextKeys, SUITE } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  type CounterName,
  concat,
  counted,
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
  sendOctets,
  slots,
  transmitBy,
} from "./harness.ts";
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
  const ordered = 4;
  // biome-ignore format: a table reads in columns
  const messages: [name: string, type: number, flags: number, keyOf: keyof ContextKeys][] = [
    ["DATA",            TYPE.data,      0,       "data"],
    ["DATA with order", TYPE.data,      ordered, "data"],
    ["FEEDBACK",        TYPE.feedback,  0,       "control"],
    ["CONTROL",         TYPE.control,   0,       "control"],
    ["ATTACH",          TYPE.attach,    0,       "attach"],
    ["CHALLENGE",       TYPE.challenge, 0,       "attach"],
    ["RESPONSE",        TYPE.response,  0,       "attach"],
  ];
  const sequences = [0, 1, 0xffff_ffff, 0x1_0000_0000, 2 ** 53 - 1];

  for (const [name, type, flags, keyOf] of messages) {
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

  for (const flags of [0, ordered]) {
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

  for (const [name, type, flags, keyOf] of messages) {
    test(`${name} sealed by node:crypto is opened, with its 64-bit sequence number`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, "raw", 6);
      const controlSeq = 0x2_ffff_fff0;
      const first = keyOf === "attach" ? 5 : controlSeq + 3;
      at.engine.addReceive(LINK, {
        ...KEYS,
        context: 41,
        transmits: [0, 0, 0],
        dataSeq: controlSeq,
        controlSeq,
      });
      for (const seq of [first, first + 100, first + 8]) {
        const message = concat(
          preamble(type, flags, LINK, seq),
          new Uint8Array(20).fill(seq & 255),
        );
        const tagOctets = type === TYPE.data ? KEYS.dataTag : 16;
        sendOctets(at, client, sealed(KEYS[keyOf] as Uint8Array, seq, message, tagOctets));
        const [slot] = receiveAll(at, server, 1) as [number];
        assert.deepEqual(at.arena.read(slot), message);
        assert.equal(at.arena.seq[slot], seq);
        assert.equal(at.arena.context[slot], 41);
        at.arena.give(slot);
      }
    });
  }

  test("encrypted DATA is opened, and not with one bit changed anywhere", (context) => {
    const at = harness(context);
    const { server, client } = loopbackPair(at.engine, "udp", 4);
    at.engine.addReceive(LINK, { ...GCM_KEYS, context: 1, transmits: [0, 0, 0] });
    const header = concat(preamble(TYPE.data, ordered, LINK, 3), new Uint8Array(5).fill(7));
    const payload = new Uint8Array(64).fill(5);
    const wire = gcmSealed(GCM_KEYS, 3, header, payload);
    assertEveryBitCounts(at, client, server, wire);
    sendOctets(at, client, wire);
    const [slot] = receiveAll(at, server, 1) as [number];
    assert.deepEqual(at.arena.read(slot), concat(header, payload));
  });

  for (const [name, type, flags, keyOf] of messages) {
    test(`${name} with one bit changed anywhere is refused`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, "udp", 6);
      at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
      const message = concat(preamble(type, flags, LINK, 3), new Uint8Array(24));
      const tagOctets = type === TYPE.data ? KEYS.dataTag : 16;
      const wire = sealed(KEYS[keyOf] as Uint8Array, 3, message, tagOctets);
      assertEveryBitCounts(at, client, server, wire);
      sendOctets(at, client, wire);
      assert.equal(receiveAll(at, server, 1).length, 1);
    });
  }

  const CLIENT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

  test("INIT is opened with its client's key and upper half 0", (context) => {
    const at = harness(context);
    const { server, client } = loopbackPair(at.engine, "udp", 4);
    at.engine.addClient(CLIENT, key(8), 17);
    const message = concat(preamble(TYPE.init, 0, 0, 99), CLIENT, new Uint8Array(130).fill(3));
    const wire = sealed(key(8), 0, message, 16);
    assertEveryBitCounts(at, client, server, wire);
    sendOctets(at, client, wire);
    sendOctets(at, client, wire);
    const opened = receiveAll(at, server, 2);
    assert.equal(opened.length, 2, "INIT has no replay window");
    const [slot] = opened as [number, number];
    assert.deepEqual(at.arena.read(slot), message);
    assert.deepEqual([at.arena.context[slot], at.arena.seq[slot]], [17, 99]);
    at.engine.removeClient(CLIENT);
    assertRefused(at, client, server, wire, "badIndex");
  });

  for (const type of [TYPE.resp, TYPE.retry]) {
    test(`type ${type} is opened with the handshake key, without a window`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, "udp", 4);
      at.engine.addReceive(LINK, { ...KEYS, context: 2, transmits: [0, 0, 0], dataSeq: 2 ** 40 });
      const message = concat(preamble(type, 0, LINK, 1), new Uint8Array(40).fill(3));
      const wire = sealed(key(4), 0, message, 16);
      assertEveryBitCounts(at, client, server, wire);
      sendOctets(at, client, wire);
      sendOctets(at, client, wire);
      assert.equal(receiveAll(at, server, 2).length, 2);
    });
  }

  test("RESET is opened by its link's token only", (context) => {
    const at = harness(context);
    const { server, client } = loopbackPair(at.engine, "udp", 4);
    const token = key(5).subarray(0, 16);
    at.engine.addReset(LINK, token, 23);
    const message = concat(preamble(TYPE.reset, 0, LINK, 1), new Uint8Array(9).fill(3));
    const wire = concat(message, token);
    assertRefused(at, client, server, concat(message, key(6).subarray(0, 16)), "badTag");
    const elsewhere = concat(preamble(TYPE.reset, 0, LINK + 1, 1), token);
    assertRefused(at, client, server, elsewhere, "badIndex");
    sendOctets(at, client, wire);
    const [slot] = receiveAll(at, server, 1) as [number];
    assert.deepEqual(at.arena.read(slot), message);
    assert.equal(at.arena.context[slot], 23);
    at.engine.removeReset(LINK);
    assertRefused(at, client, server, wire, "badIndex");
  });

  test("a class without a key is refused, and so is a key of another class", (context) => {
    const at = harness(context);
    const { server, client } = loopbackPair(at.engine, "udp", 4);
    const { control: _, ...keys } = KEYS;
    at.engine.addReceive(LINK, { ...keys, context: 1, transmits: [0, 0, 0] });
    const feedback = concat(preamble(TYPE.feedback, 0, LINK, 1), new Uint8Array(8));
    assertRefused(at, client, server, sealed(key(2), 1, feedback, 16), "badIndex");
    const data = concat(preamble(TYPE.data, 0, LINK, 1), new Uint8Array(8));
    assertRefused(at, client, server, sealed(key(2), 1, data, 10), "badTag");
    at.engine.removeReceive(LINK);
    assertRefused(at, client, server, sealed(key(1), 1, data, 10), "badIndex");
  });

  test("a message shorter than its header and tag is refused as truncated", (context) => {
    const at = harness(context);
    const { server, client } = loopbackPair(at.engine, "raw", 4);
    at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
    at.engine.addReset(LINK, new Uint8Array(16), 1);
    for (const [type, flags, shortest] of [
      [TYPE.data, 0, 8 + 10],
      [TYPE.data, ordered, 13 + 10],
      [TYPE.control, 0, 8 + 16],
      [TYPE.attach, 0, 8 + 16],
      [TYPE.init, 0, 8 + 8 + 16],
      [TYPE.resp, 0, 8 + 16],
      [TYPE.reset, 0, 8 + 16],
    ] as const) {
      const octets = concat(preamble(type, flags, LINK, 1), new Uint8Array(64));
      assertRefused(at, client, server, octets.subarray(0, shortest - 1), "truncated");
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

/** The slots that hold accepted messages; the caller gives them back or not. */
function receiveAll(at: Harness, server: number, capacity: number): number[] {
  const batch = slots(at.arena, capacity);
  const count = at.engine.receive(server, batch, capacity);
  giveAll(at.arena, batch.subarray(count));
  return [...batch.subarray(0, count)];
}

function assertRefused(
  at: Harness,
  client: number,
  server: number,
  wire: Uint8Array,
  reason: CounterName,
): void {
  const before = counted(at.arena, reason);
  sendOctets(at, client, wire);
  assert.deepEqual(receiveAll(at, server, 1), []);
  assert.equal(counted(at.arena, reason), before + 1, countersText(at.arena));
}

function assertEveryBitCounts(at: Harness, client: number, server: number, wire: Uint8Array): void {
  for (let bit = 0; bit < wire.length * 8; bit += 1) {
    const changed = Uint8Array.from(wire);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    sendOctets(at, client, changed);
    assert.deepEqual(receiveAll(at, server, 1), [], `bit ${bit}`);
  }
}
