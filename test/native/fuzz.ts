/**
 * Seeded mutation fuzzing of every parser of the addon: cutting, joining, and opening messages of
 * every type over every kind of socket. Nothing may crash, nothing forged may be accepted, nothing
 * joined may differ from what came in.
 *
 *   node dist/test/native/fuzz.js --packets 10000000 --seed 7
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { Arena, PACKET_OCTETS_MAX } from "../../src/core/arena.ts";
import { SeededRandom } from "../../src/core/random.ts";
import type { Engine } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  GCM_KEYS,
  gcmSealed,
  KEYS,
  key,
  loopbackPair,
  native,
  preamble,
  put,
  sealed,
  slots,
} from "./harness.ts";
import { cutByHand, FLAG, type Segment, superPacket } from "./packets.ts";

export interface FuzzReport {
  readonly packets: number;
  /** Mutants that a parser took for something it could work on: proof that it was reached. */
  readonly understood: number;
}

/** Mutates super-packets: whatever comes out fits a slot and is no longer than what went in. */
export function fuzzSegment(packets: number, seed: number): FuzzReport {
  const random = new SeededRandom(seed);
  const bases = [...segmentsOf(random)].map((segment) => superPacket(segment, 700));
  let understood = 0;
  for (let index = 0; index < packets; index += 1) {
    const mutant = mutate(random, pick(random, bases), 74);
    const cut = native.segment(mutant);
    if (cut === null) continue;
    understood += 1;
    for (const packet of cut) assert.ok(packet.length <= PACKET_OCTETS_MAX, hex(mutant));
  }
  return { packets, understood };
}

/** Mutates runs of segments: cut again, the super-packets are the packets that came in. */
export function fuzzCoalesce(packets: number, seed: number): FuzzReport {
  const random = new SeededRandom(seed);
  const runs = [...segmentsOf(random)].map((segment) => cutByHand(segment, 700));
  let understood = 0;
  let done = 0;
  while (done < packets) {
    const batch = [pick(random, runs), pick(random, runs)].flatMap((run) =>
      run.map((packet) => (random.next() < 0.7 ? packet : mutate(random, packet, 60))),
    );
    const written = native.coalesce(batch);
    understood += batch.length - written.length;
    done += batch.length;
    const out = written.flatMap((one) => {
      if (one[0] === 0) return [one.slice(10)];
      const cut = native.segment(one);
      assert.ok(cut !== null, hex(one));
      return cut;
    });
    assert.deepEqual(sortedHex(out), sortedHex(batch), `seed ${seed} after ${done}`);
  }
  return { packets: done, understood };
}

const LINK = 0x51;
const CLIENT = Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1);
const TOKEN = key(12).subarray(0, 16);
const BURST = 64;

/** Mutates genuine messages and sends them: none is accepted, and the genuine ones still are. */
export function fuzzOpen(packets: number, seed: number): FuzzReport {
  const random = new SeededRandom(seed);
  const arena = new Arena(4 * BURST);
  const engine = native.createEngine(arena.memory, 4 * BURST);
  addContexts(engine);
  const pairs = (["raw", "udp"] as const).flatMap((kind) =>
    ([4, 6] as const).map((family) => loopbackPair(engine, kind, family)),
  );
  const bases = messagesOf(random);
  const out = slots(arena, BURST);
  const into = slots(arena, 2 * BURST);
  let refused = 0;
  for (let done = 0; done < packets; done += BURST) {
    const { server, client } = pick(random, pairs);
    let genuine = 0;
    for (const slot of out) {
      const mutant = mutate(random, pick(random, bases), 40);
      genuine += isReset(mutant) ? 1 : 0;
      put(arena, slot, mutant);
      engine.sendPlain(client, slot, null);
    }
    const before = refusals(arena);
    const accepted = engine.receive(server, into, into.length);
    assert.equal(accepted, genuine, `seed ${seed}: ${hex(arena.read(into[0] as number))}`);
    refused += refusals(arena) - before;
  }
  for (const { server, client } of pairs) {
    for (const base of bases.filter((message) => (message[0] as number) >> 4 <= TYPE.retry)) {
      put(arena, out[0] as number, base);
      engine.sendPlain(client, out[0] as number, null);
    }
    assert.equal(engine.receive(server, into, into.length), 3, "genuine handshake messages pass");
  }
  engine.destroy();
  return { packets, understood: refused };
}

/** A RESET is its token: what stands between that and the preamble is not covered. */
function isReset(message: Uint8Array): boolean {
  if (message.length < 8 + TOKEN.length || (message[0] as number) >> 4 !== TYPE.reset) return false;
  const link = concat(message.subarray(1, 4), message.subarray(-TOKEN.length));
  return hex(link) === hex(concat(Uint8Array.of(0, 0, LINK), TOKEN));
}

/** Counters 0..6: every reason for which a message is refused. */
function refusals(arena: Arena): number {
  return arena.counters.subarray(0, 7).reduce((sum, count) => sum + count, 0);
}

function addContexts(engine: Engine): void {
  engine.addReceive(LINK, { ...KEYS, context: 1, transmits: [0, 0, 0] });
  engine.addReceive(LINK + 1, { ...GCM_KEYS, context: 2, transmits: [0, 0, 0] });
  engine.addClient(CLIENT, key(8), 3);
  engine.addReset(LINK, TOKEN, 4);
}

function messagesOf(random: SeededRandom): Uint8Array[] {
  const body = () => random.octets(random.uint32() % 200);
  const tagged = (type: number, flags: number, macKey: Uint8Array, octets: number) => {
    const lead = type === TYPE.init ? CLIENT : new Uint8Array(flags === 4 ? 5 : 0);
    return sealed(macKey, 5, concat(preamble(type, flags, LINK, 5), lead, body()), octets);
  };
  return [
    tagged(TYPE.data, 0, key(1), 10),
    tagged(TYPE.data, 4, key(1), 10),
    tagged(TYPE.feedback, 0, key(2), 16),
    tagged(TYPE.control, 0, key(2), 16),
    tagged(TYPE.attach, 0, key(3), 16),
    tagged(TYPE.challenge, 0, key(3), 16),
    tagged(TYPE.response, 0, key(3), 16),
    tagged(TYPE.resp, 0, key(4), 16),
    tagged(TYPE.retry, 0, key(4), 16),
    tagged(TYPE.init, 0, key(8), 16),
    concat(preamble(TYPE.reset, 0, LINK, 5), body(), TOKEN),
    gcmSealed(GCM_KEYS, 5, preamble(TYPE.data, 0, LINK + 1, 5), random.octets(100)),
    gcmSealed(GCM_KEYS, 5, concat(preamble(TYPE.data, 4, LINK + 1, 5), new Uint8Array(5)), body()),
  ];
}

function* segmentsOf(random: SeededRandom): Generator<Segment> {
  for (const v6 of [false, true]) {
    for (const tcp of [false, true]) {
      for (const flags of [FLAG.ack, FLAG.ack | FLAG.psh, FLAG.ack | FLAG.cwr]) {
        const payload = random.octets(1 + (random.uint32() % 4000));
        const options = new Uint8Array(tcp ? 12 : 0).fill(1);
        yield {
          v6,
          tcp,
          payload,
          options,
          flags,
          id: 100,
          seq: random.uint32(),
          dontFragment: false,
        };
      }
    }
  }
}

/** Changes, cuts or lengthens; the first `headerOctets` are hit most. Never gives the same octets. */
function mutate(random: SeededRandom, base: Uint8Array, headerOctets: number): Uint8Array {
  for (;;) {
    let octets: Uint8Array = Uint8Array.from(base);
    const shape = random.next();
    if (shape < 0.1) octets = octets.slice(0, random.uint32() % (octets.length + 1));
    else if (shape < 0.15) octets = concat(octets, random.octets(1 + (random.uint32() % 40)));
    const changes = shape < 0.15 ? random.uint32() % 2 : 1 + (random.uint32() % 4);
    for (let change = 0; change < changes && octets.length > 0; change += 1) {
      const reach = random.next() < 0.7 ? Math.min(headerOctets, octets.length) : octets.length;
      const at = random.uint32() % reach;
      const flipped = (octets[at] as number) ^ (1 << (random.uint32() & 7));
      octets[at] = random.next() < 0.5 ? flipped : random.uint32();
    }
    const same = octets.length === base.length && octets.every((octet, at) => octet === base[at]);
    if (!same && octets.length <= PACKET_OCTETS_MAX + 4096) return octets;
  }
}

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[random.uint32() % list.length] as T;
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

function sortedHex(packets: Uint8Array[]): string[] {
  return packets.map(hex).sort();
}

/** Every parser's part of `packets`; the report is one line each. */
export function fuzz(packets: number, seed: number): Record<string, FuzzReport> {
  const share = Math.ceil(packets / 4);
  return {
    segment: fuzzSegment(share, seed),
    coalesce: fuzzCoalesce(share, seed + 1),
    open: fuzzOpen(2 * share, seed + 2),
  };
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      packets: { type: "string", default: "200000" },
      seed: { type: "string", default: "1" },
    },
  });
  process.stdout.write(`${JSON.stringify(fuzz(Number(values.packets), Number(values.seed)))}\n`);
}
