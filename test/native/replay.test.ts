/** The replay window and the rebuilt sequence numbers against a model that remembers everything. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
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
import { inNamespace } from "./namespace.ts";

const LINK = 5;
const WINDOW = 8192;
const HALF = 2 ** 31;

/** Accepts what is new, not below the start, not behind the window, and near enough to rebuild. */
class Model {
  readonly #seen = new Set<number>();
  readonly #first: number;
  #highest = -1;

  constructor(first: number) {
    this.#first = first;
    this.#highest = first - 1;
  }

  accept(seq: number): boolean {
    const near = Math.abs(seq - Math.max(this.#highest, 0)) < HALF;
    if (seq < this.#first || !near || seq <= this.#highest - WINDOW) return false;
    if (this.#seen.has(seq)) return false;
    this.#seen.add(seq);
    this.#highest = Math.max(this.#highest, seq);
    return true;
  }

  get highest(): number {
    return this.#highest;
  }
}

inNamespace(import.meta.filename, () => {
  const step = fc.oneof(
    fc.integer({ min: -70, max: 70 }),
    fc.integer({ min: -8300, max: 8300 }),
    fc.constantFrom(1, 1, 1, 1, 63, 64, 65, -8191, -8192, -8193, 8192, 16384, 16385, 1_000_000),
    fc.constantFrom(HALF - 1, HALF - 2, -(HALF - 1), 2 ** 30),
  );
  const starts = fc.constantFrom(0, 1, 63, 64, 0xffff_ff00, 2 ** 32, 2 ** 40 + 12345);

  for (const [name, type, macKey, tagOctets] of [
    ["DATA", TYPE.data, key(1), 10],
    ["FEEDBACK", TYPE.feedback, key(2), 16],
  ] as const) {
    test(`${name} is accepted exactly as the model says`, (context) => {
      const at = harness(context, 64);
      const { server, client } = loopbackPair(at.engine, "udp", 4);
      const property = fc.property(starts, fc.array(step, { maxLength: 60 }), (start, steps) => {
        at.engine.addReceive(LINK, {
          ...KEYS,
          context: 1,
          transmits: [0, 0, 0],
          dataSeq: start,
          controlSeq: start,
        });
        try {
          const model = new Model(start);
          for (const one of steps) {
            const seq = Math.max(0, Math.max(model.highest, 0) + one);
            const message = concat(preamble(type, 0, LINK, seq), Uint8Array.of(1));
            const wire = sealed(macKey, seq, message, tagOctets);
            const opened = receiveSeq(at, client, server, wire);
            assert.equal(opened, model.accept(seq) ? seq : undefined, `seq ${seq}`);
          }
        } finally {
          at.engine.removeReceive(LINK);
        }
      });
      fc.assert(property, { numRuns: 150 });
    });
  }

  test("DATA and FEEDBACK have windows of their own, FEEDBACK and CONTROL share one", (context) => {
    const at = harness(context, 64);
    const { server, client } = loopbackPair(at.engine, "udp", 4);
    at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
    const open = (type: number, macKey: Uint8Array, tagOctets: number) =>
      receiveSeq(
        at,
        client,
        server,
        sealed(macKey, 9, concat(preamble(type, 0, LINK, 9), Uint8Array.of(1)), tagOctets),
      );
    assert.equal(open(TYPE.data, key(1), 10), 9);
    assert.equal(open(TYPE.feedback, key(2), 16), 9);
    assert.equal(open(TYPE.attach, key(3), 16), 9);
    assert.equal(open(TYPE.control, key(2), 16), undefined);
    assert.equal(open(TYPE.response, key(3), 16), undefined);
    assert.equal(open(TYPE.data, key(1), 10), undefined);
    assert.equal(counted(at.arena, "replayed"), 3);
  });

  test("an old number is refused before its tag is looked at, and counted apart", (context) => {
    const at = harness(context, 64);
    const { server, client } = loopbackPair(at.engine, "udp", 4);
    at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
    const wire = (seq: number) =>
      sealed(key(1), seq, concat(preamble(TYPE.data, 0, LINK, seq), Uint8Array.of(1)), 10);
    assert.equal(receiveSeq(at, client, server, wire(10_000)), 10_000);
    assert.equal(receiveSeq(at, client, server, wire(10_000 - WINDOW)), undefined);
    assert.equal(counted(at.arena, "tooOld"), 1);
    assert.equal(receiveSeq(at, client, server, wire(10_001 - WINDOW)), 10_001 - WINDOW);
  });

  test("a forged number far ahead does not move the window", (context) => {
    const at = harness(context, 64);
    const { server, client } = loopbackPair(at.engine, "udp", 4);
    at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
    const forged = concat(preamble(TYPE.data, 0, LINK, 1_000_000), new Uint8Array(20));
    assert.equal(receiveSeq(at, client, server, forged), undefined);
    const message = concat(preamble(TYPE.data, 0, LINK, 1), Uint8Array.of(1));
    assert.equal(receiveSeq(at, client, server, sealed(key(1), 1, message, 10)), 1);
  });
});

function receiveSeq(
  at: Harness,
  client: number,
  server: number,
  wire: Uint8Array,
): number | undefined {
  sendOctets(at, client, wire);
  const batch = slots(at.arena, 1);
  const count = at.engine.receive(server, batch, 1);
  const seq = count === 1 ? at.arena.seq[batch[0] as number] : undefined;
  giveAll(at.arena, batch);
  return seq;
}
