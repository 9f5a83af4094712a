/** Opening what `node:crypto` has sealed, over loopback sockets: by the right key alone, and with no bit changed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FLAG, TYPE } from "../../src/wire/preamble.ts";
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
  preamble,
  sealed,
  sendOctets,
  slots,
} from "./harness.ts";
import { MESSAGES } from "./message-classes.ts";
import { inNamespace } from "./namespace.ts";

const LINK = 0xabcdef;

inNamespace(import.meta.filename, () => {
  for (const [name, type, flags, keyOf] of MESSAGES) {
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
    const header = concat(preamble(TYPE.data, FLAG.order, LINK, 3), new Uint8Array(5).fill(7));
    const payload = new Uint8Array(64).fill(5);
    const wire = gcmSealed(GCM_KEYS, 3, header, payload);
    assertEveryBitCounts(at, client, server, wire);
    sendOctets(at, client, wire);
    const [slot] = receiveAll(at, server, 1) as [number];
    assert.deepEqual(at.arena.read(slot), concat(header, payload));
  });

  for (const [name, type, flags, keyOf] of MESSAGES) {
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
      [TYPE.data, FLAG.order, 13 + 10],
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
});

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
