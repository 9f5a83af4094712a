/**
 * Tags computed several at a time are those computed one by one, and a batch is opened as its
 * messages would be singly.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PACKET_OCTETS_MAX, SLOT_HEADROOM, SLOT_SIZE } from "../../src/core/arena.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  countersText,
  GCM_KEYS,
  gcmSealed,
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
  tagOf,
  transmitBy,
} from "./harness.ts";
import { inNamespace } from "./namespace.ts";

const LINK = 0x10203;
/** Not every OpenSSL has the function, nor every processor; where node brings both, it is used. */
const expected = process.arch === "x64" && process.config.variables.node_shared_openssl === false;
const UPPER = 0x01020304;

function octets(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 29 + (index >> 6) + seed * 57) & 0xff);
}

/** How many of the batch were computed together; each must be what node:crypto says. */
function assertTags(lengths: number[]): number {
  const packets = lengths.map(octets);
  const tags = native.tagBatch(packets, key(9), UPPER) ?? [];
  for (const [index, tag] of tags.entries()) {
    if (tag === null) continue;
    const right = tagOf(key(9), UPPER * 2 ** 32, packets[index] as Uint8Array, 32);
    assert.deepEqual(tag, right, `packet ${index} of lengths ${lengths}`);
  }
  return tags.filter((tag) => tag !== null).length;
}

test("tags are computed together where node can do it", () => {
  assert.equal(native.tagBatch([], key(9), 0) !== null, expected);
});

test("tags computed together are those of node:crypto at every length", { skip: !expected }, () => {
  for (let lanes = 3; lanes <= 9; lanes += 2) {
    for (let length = 0; length <= PACKET_OCTETS_MAX; length += lanes === 9 ? 1 : 13) {
      const together = assertTags(new Array<number>(lanes).fill(length));
      assert.equal(together, lanes === 9 ? 8 : lanes);
    }
  }
});

test("tags of mixed lengths computed together are those of node:crypto", () => {
  const lengths = fc.array(fc.integer({ min: 0, max: PACKET_OCTETS_MAX }), { maxLength: 140 });
  fc.assert(fc.property(lengths, (some) => assertTags(some) <= some.length));
  const near = fc.array(fc.integer({ min: 40, max: 200 }), { minLength: 100, maxLength: 128 });
  fc.assert(fc.property(near, (some) => assertTags(some) >= (expected ? 90 : 0)));
});

test("one or two messages, and those without likes, are tagged by themselves", () => {
  assert.equal(assertTags([1400]), 0);
  assert.equal(assertTags([1400, 1400]), 0);
  assert.equal(assertTags([1400, 1400, 600, 600, 120, 120]), 0);
});

interface Sent {
  readonly wire: Uint8Array;
  readonly message: Uint8Array;
  readonly seq: number;
}

function dataMessage(length: number, seq: number, link = LINK): Sent {
  const message = concat(preamble(TYPE.data, 0, link, seq), octets(length, seq % 251));
  return { message, seq, wire: sealed(KEYS.data as Uint8Array, seq, message, KEYS.dataTag) };
}

/** Everything that waits, `capacity` slots a call; slots go back. */
function receiveAll(
  at: Harness,
  server: number,
  capacity: number,
): Pick<Sent, "message" | "seq">[] {
  const all: Pick<Sent, "message" | "seq">[] = [];
  for (let count = -1; count !== 0; ) {
    const batch = slots(at.arena, capacity);
    count = at.engine.receive(server, batch, capacity);
    assert.equal(new Set(batch).size, capacity, "the batch is a permutation of itself");
    for (const slot of batch.subarray(0, count)) {
      all.push({ message: at.arena.read(slot), seq: at.arena.seq[slot] as number });
    }
    for (const slot of batch) at.arena.give(slot);
  }
  return all;
}

function bareOf(sent: Sent[]): Pick<Sent, "message" | "seq">[] {
  return sent.map(({ message, seq }) => ({ message, seq }));
}

inNamespace(import.meta.filename, () => {
  const sockets = (["raw", "udp"] as const).flatMap((kind) =>
    ([4, 6] as const).map((family) => ({ kind, family })),
  );

  for (const { kind, family } of sockets) {
    const name = `${kind} IPv${family}`;

    test(`a batch of every length, type and alignment is sealed as singly, ${name}`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, kind, family);
      const transmit = transmitBy(at.engine, client);
      const random = new SeededRandom(11);
      for (let round = 0; round < 12; round += 1) {
        const batch = slots(at.arena, 200);
        const wires = [...batch].map((slot, index) => {
          const seq = index * 2 ** 30 + round;
          const control = random.next() < 0.2;
          const length = Math.floor(random.next() * (random.next() < 0.3 ? 200 : 1900));
          const header = preamble(control ? TYPE.control : TYPE.data, 0, LINK, seq);
          const message = concat(header, octets(length, index));
          const start = slot * SLOT_SIZE + Math.floor(random.next() * SLOT_HEADROOM);
          put(at.arena, slot, message, seq);
          at.arena.start[slot] = start;
          at.arena.octets.fill(0xa5, slot * SLOT_SIZE, (slot + 1) * SLOT_SIZE);
          at.arena.octets.set(message, start);
          const macKey = (control ? KEYS.control : KEYS.data) as Uint8Array;
          return sealed(macKey, seq, message, control ? 16 : KEYS.dataTag);
        });
        assert.equal(at.engine.send(transmit, batch, 200), 200);
        for (const [index, slot] of batch.entries()) {
          const from = (at.arena.start[slot] as number) - slot * SLOT_SIZE;
          const whole = at.arena.octets.slice(slot * SLOT_SIZE, (slot + 1) * SLOT_SIZE);
          const wire = wires[index] as Uint8Array;
          const outside = [...whole.subarray(0, from), ...whole.subarray(from + wire.length)];
          assert.ok(
            outside.every((octet) => octet === 0xa5),
            "nothing else of the slot changed",
          );
          at.arena.give(slot);
        }
        const into = slots(at.arena, 200);
        assert.equal(at.engine.receivePlain(server, into, 200), 200, countersText(at.arena));
        for (const [index, slot] of into.entries()) {
          assert.deepEqual(at.arena.read(slot), wires[index], `round ${round}, packet ${index}`);
          at.arena.give(slot);
        }
      }
    });

    for (const capacity of [1, 7, 64, 500]) {
      test(`a batch is opened as its messages singly, ${name}, capacity ${capacity}`, (context) => {
        const at = harness(context);
        const { server, client } = loopbackPair(at.engine, kind, family);
        at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0], dataSeq: 10 });
        at.engine.addReceive(LINK + 1, { ...GCM_KEYS, context: 2, transmits: [0, 0, 0] });
        const random = new SeededRandom(capacity);
        const genuine: Sent[] = [];
        const refused = { badTag: 0, replayed: 0, tooOld: 0, badIndex: 0, truncated: 0 };
        for (let seq = 10; seq < 310; seq += 1) {
          const length = random.next() < 0.5 ? 1400 : Math.floor(random.next() * 1900);
          const sent = dataMessage(length, seq);
          genuine.push(sent);
          sendOctets(at, client, sent.wire);
          const choice = Math.floor(random.next() * 14);
          if (choice === 0) {
            const forged = Uint8Array.from(sent.wire);
            const place = 8 + Math.floor(random.next() * (forged.length - 8));
            forged[place] = (forged[place] as number) ^ 1;
            sendOctets(at, client, forged);
            refused.badTag += 1;
          } else if (choice === 1) {
            sendOctets(at, client, sent.wire);
            refused.replayed += 1;
          } else if (choice === 2) {
            sendOctets(at, client, dataMessage(length, 9).wire);
            refused.tooOld += 1;
          } else if (choice === 3) {
            sendOctets(at, client, dataMessage(length, seq, LINK + 2).wire);
            refused.badIndex += 1;
          } else if (choice === 4) {
            sendOctets(at, client, sent.wire.subarray(0, 17));
            refused.truncated += 1;
          } else if (choice === 5) {
            const header = preamble(TYPE.data, 0, LINK + 1, seq);
            const wire = gcmSealed(GCM_KEYS, seq, header, octets(length, 3));
            genuine.push({ wire, seq, message: concat(header, octets(length, 3)) });
            sendOctets(at, client, wire);
          }
        }
        assert.deepEqual(receiveAll(at, server, capacity), bareOf(genuine));
        for (const [reason, count] of Object.entries(refused)) {
          assert.ok(count > 0, reason);
          assert.equal(counted(at.arena, reason as keyof typeof refused), count, reason);
        }
      });
    }

    test(`datagrams that the kernel joined are opened as singly, ${name}`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, kind, family);
      at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
      const transmit = transmitBy(at.engine, client);
      for (const length of [0, 1, 51, 700, 1400]) {
        const sent = Array.from({ length: 150 }, (_, index) =>
          dataMessage(index % 40 === 39 ? length >> 1 : length, length * 1000 + index),
        );
        const batch = slots(at.arena, sent.length);
        for (const [index, { message, seq }] of sent.entries()) {
          put(at.arena, batch[index] as number, message, seq);
        }
        assert.equal(at.engine.send(transmit, batch, batch.length), batch.length);
        for (const slot of batch) at.arena.give(slot);
        assert.deepEqual(receiveAll(at, server, 77), bareOf(sent));
      }
      assert.equal(counted(at.arena, "udpCoalesced") > 0, kind === "udp");
    });

    test(`a batch whose sequence numbers outgrow their upper half is opened, ${name}`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, kind, family);
      at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
      // Before the batch the last number's lower half stands for 5; the first two lead beyond.
      const numbers = [1, 2 ** 31 - 1, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32 + 5, 2 ** 32 + 6];
      const sent = numbers.map((seq) => dataMessage(1400, seq));
      for (const { wire } of sent) sendOctets(at, client, wire);
      assert.deepEqual(receiveAll(at, server, 32), bareOf(sent));
    });
  }
});
