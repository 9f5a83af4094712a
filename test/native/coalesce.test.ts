/** Packets are joined so that cutting gives them back, and never where the kernel would not join. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { native } from "./harness.ts";
import { build, cutByHand, FLAG, fold, type Segment, sumOf } from "./packets.ts";

const VNET = 10;

/** What would be written, cut again: the packets in the order they reach the kernel. */
function written(packets: Uint8Array[]): Uint8Array[] {
  return native.coalesce(packets).flatMap((one) => {
    if (one[0] === 0) return [one.slice(VNET)];
    const cut = native.segment(one);
    assert.ok(cut !== null, "a super-packet of ours is a right one");
    return cut;
  });
}

function counts(packets: Uint8Array[]): number[] {
  return native
    .coalesce(packets)
    .map((one) => (one[0] === 0 ? 1 : (native.segment(one) ?? []).length));
}

const base: Segment = { v6: false, tcp: true, payload: new Uint8Array(0), seq: 5000, id: 7 };

/** `count` segments of one flow, as a sender's offload would make them. */
function run(count: number, size: number, change: Partial<Segment> = {}): Uint8Array[] {
  const payload = Uint8Array.from({ length: count * size }, (_, index) => (index * 7) & 0xff);
  return cutByHand({ ...base, ...change, payload }, size);
}

for (const v6 of [false, true]) {
  test(`a run of IPv${v6 ? 6 : 4} segments leaves as one super-packet`, () => {
    const packets = run(20, 1400, { v6 });
    assert.deepEqual(counts(packets), [20]);
    assert.deepEqual(written(packets), packets);
  });
}

test("a super-packet has the kernel's partial checksum and lengths", () => {
  const [joined] = native.coalesce(run(3, 1000)) as [Uint8Array];
  const view = new DataView(joined.buffer);
  assert.deepEqual([...joined.subarray(0, 2)], [1, 1], "checksum open, TCP over IPv4");
  assert.equal(view.getUint16(2, true), 40, "header octets");
  assert.equal(view.getUint16(4, true), 1000, "segment size");
  assert.equal(view.getUint16(6, true), 20, "checksum start");
  assert.equal(view.getUint16(8, true), 16, "checksum offset");
  const packet = joined.subarray(VNET);
  assert.equal(view.getUint16(VNET + 2), 3040);
  assert.equal(fold(sumOf(packet.subarray(0, 20))), 0xffff);
  assert.equal(view.getUint16(VNET + 36), fold(sumOf(packet.subarray(12, 20)) + 6 + 3020));
});

test("a shorter segment ends its run", () => {
  const packets = [
    ...run(2, 1000),
    ...cutByHand({ ...base, seq: 7000, id: 9, payload: new Uint8Array(300) }, 1000),
  ];
  const after = cutByHand({ ...base, seq: 7300, id: 10, payload: new Uint8Array(1000) }, 1000);
  assert.deepEqual(counts([...packets, ...after]), [3, 1]);
});

test("a run stops at 65535 octets", () => {
  const packets = run(60, 1400);
  const lengths = native.coalesce(packets).map((one) => one.length - VNET);
  assert.ok(
    lengths.every((length) => length <= 65535),
    `lengths ${lengths}`,
  );
  assert.deepEqual(counts(packets), [46, 14]);
  assert.deepEqual(written(packets), packets);
});

test("flows that interleave are each joined and keep their own order", () => {
  const flows = [1, 2, 3].map((flow) => run(5, 800, { flow, v6: flow === 2 }));
  const mixed = [0, 1, 2, 3, 4].flatMap((at) => flows.map((flow) => flow[at] as Uint8Array));
  assert.deepEqual(counts(mixed), [5, 5, 5]);
  assert.deepEqual(written(mixed), flows.flat());
});

const next: Segment = { ...base, seq: 6000, id: 8, payload: new Uint8Array(1000) };

// biome-ignore format: a table reads in columns
const apart: [name: string, first: Partial<Segment>, second: Partial<Segment>][] = [
  ["a gap in the sequence",           {},                     { seq: 6001 }],
  ["a repeated segment",              {},                     { seq: 5000 }],
  ["another acknowledgement",         {},                     { ack: 1 }],
  ["another window",                  {},                     { window: 501 }],
  ["another time to live",            {},                     { hopLimit: 63 }],
  ["another traffic class",           {},                     { trafficClass: 8 }],
  ["a congestion mark",               { trafficClass: 2 },    { trafficClass: 3 }],
  ["other fragment rules",            {},                     { dontFragment: false }],
  ["a jump in the identification",    { dontFragment: false }, { dontFragment: false, id: 9 }],
  ["one identification twice",        { dontFragment: false }, { dontFragment: false, id: 7 }],
  ["other options",                   { options: Uint8Array.of(1, 1, 1, 1) }, { options: Uint8Array.of(1, 1, 1, 0) }],
  ["options only once",               {},                     { options: Uint8Array.of(1, 1, 1, 1) }],
  ["no payload behind it",            {},                     { payload: new Uint8Array(0) }],
  ["a longer segment",                {},                     { payload: new Uint8Array(1001) }],
  ["PSH on the first",                { flags: FLAG.ack | FLAG.psh }, {}],
  ["FIN on the first",                { flags: FLAG.ack | FLAG.fin }, {}],
  ["URG on both",                     { flags: FLAG.ack | FLAG.urg }, { flags: FLAG.ack | FLAG.urg }],
  ["SYN on both",                     { flags: FLAG.syn },    { flags: FLAG.syn }],
  ["RST on the second",               {},                     { flags: FLAG.ack | FLAG.rst }],
  ["CWR on the second",               {},                     { flags: FLAG.ack | FLAG.cwr }],
  ["ECE on the second",               {},                     { flags: FLAG.ack | FLAG.ece }],
  ["another flow",                    {},                     { flow: 2 }],
];

for (const [name, first, second] of apart) {
  for (const v6 of [false, true]) {
    if (v6 && (name.includes("identification") || name.includes("fragment"))) continue;
    test(`IPv${v6 ? 6 : 4} segments with ${name} stay apart`, () => {
      const packets = [
        build({ ...base, payload: new Uint8Array(1000), ...first, v6 }).octets,
        build({ ...next, ...first, flags: FLAG.ack, ...second, v6 }).octets,
      ];
      assert.deepEqual(counts(packets), [1, 1]);
      assert.deepEqual(written(packets), packets);
    });
  }
}

test("PSH and FIN on the last segment of a run are kept", () => {
  const packets = run(3, 1000, { flags: FLAG.ack | FLAG.psh | FLAG.fin });
  assert.deepEqual(counts(packets), [3]);
  assert.deepEqual(written(packets), packets);
});

test("CWR on the first segment of a run is kept and told to the kernel", () => {
  const packets = run(3, 1000, { flags: FLAG.ack | FLAG.cwr });
  const [joined] = native.coalesce(packets) as [Uint8Array];
  assert.equal(joined[1], 0x81);
  assert.deepEqual(written(packets), packets);
});

test("a standing identification joins where fragmenting is forbidden", () => {
  const packets = [0, 1, 2].map((at) => build({ ...next, seq: 6000 + at * 1000, id: 0 }).octets);
  assert.deepEqual(counts(packets), [3]);
});

test("a wrong checksum is written alone and unchanged, wherever it stands", () => {
  for (const broken of [0, 1, 2]) {
    for (const at of [50, 10]) {
      const packets = run(3, 1000);
      const octets = packets[broken] as Uint8Array;
      octets[at] = (octets[at] as number) ^ 1;
      assert.ok(!counts(packets).includes(3));
      const out = written(packets);
      assert.deepEqual(out, packets, `segment ${broken}, octet ${at}`);
    }
  }
});

test("a fragment is never joined, nor overtaken", () => {
  const packets = run(3, 1000, { dontFragment: false });
  const fragment = packets[1] as Uint8Array;
  fragment[6] = 0x20;
  assert.deepEqual(counts(packets), [1, 1, 1]);
  assert.deepEqual(written(packets), packets);
});

test("nothing overtakes a packet whose flow is unknown", () => {
  const [first, second] = run(2, 1000) as [Uint8Array, Uint8Array];
  const fragment = build({ ...base, seq: 9000, payload: new Uint8Array(8) }).octets;
  fragment[7] = 1;
  const packets = [first, fragment, second];
  assert.deepEqual(written(packets), packets);
});

test("random mixtures lose nothing and keep each flow's order", () => {
  const piece = fc.record({
    flow: fc.integer({ min: 1, max: 12 }),
    v6: fc.boolean(),
    tcp: fc.boolean(),
    size: fc.constantFrom(0, 1, 500, 1000, 1000, 1000),
    flags: fc.constantFrom(FLAG.ack, FLAG.ack, FLAG.ack, FLAG.ack | FLAG.psh, FLAG.syn),
    jump: fc.constantFrom(0, 0, 0, 0, 1),
    broken: fc.constantFrom(false, false, false, false, true),
  });
  const property = fc.property(fc.array(piece, { maxLength: 120 }), (pieces) => {
    const packets = mixture(pieces);
    const out = written(packets);
    assert.deepEqual(byFlow(out), byFlow(packets));
  });
  fc.assert(property, { numRuns: 300 });
});

interface Piece {
  flow: number;
  v6: boolean;
  tcp: boolean;
  size: number;
  flags: number;
  jump: number;
  broken: boolean;
}

function mixture(pieces: Piece[]): Uint8Array[] {
  const state = new Map<string, { seq: number; id: number }>();
  return pieces.map((piece) => {
    const name = `${piece.flow} ${piece.v6}`;
    const { seq, id } = state.get(name) ?? { seq: 0xffff_f000, id: 0xfffa };
    const payload = new Uint8Array(piece.size).fill(piece.flow);
    const { octets } = build({ ...piece, payload, seq: (seq + piece.jump) >>> 0, id });
    state.set(name, { seq: (seq + piece.jump + piece.size) >>> 0, id: (id + 1) & 0xffff });
    if (piece.broken) octets[octets.length - 1] = (octets[octets.length - 1] as number) ^ 0x10;
    return octets;
  });
}

function flowText(packet: Uint8Array): string {
  const v6 = (packet[0] as number) >> 4 === 6;
  const addresses = v6 ? packet.subarray(8, 40) : packet.subarray(12, 20);
  const l4At = v6 ? 40 : 20;
  return `${packet[v6 ? 6 : 9]} ${addresses} ${packet.subarray(l4At, l4At + 4)}`;
}

function byFlow(packets: Uint8Array[]): [string, Uint8Array[]][] {
  const flows = new Map<string, Uint8Array[]>();
  for (const packet of packets) {
    const name = flowText(packet);
    flows.set(name, [...(flows.get(name) ?? []), packet]);
  }
  return [...flows].sort(([a], [b]) => (a < b ? -1 : 1));
}
