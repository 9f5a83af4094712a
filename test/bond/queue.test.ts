/** The shared queue: turns by flow, who pays when it is full, what waits too long, that no slot is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { STANDSTILL_MAX_US } from "../../src/bond/queue/standstill.ts";
import { type IngressQueue, QUEUE_DELAY_MAX_US, QUEUE_PACKETS_MAX } from "../../src/bond/queue.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { PROTOCOL } from "../../src/wire/inner.ts";
import { type InnerPacket, slotOf } from "./inner-packets.ts";
import { Bench, MBIT } from "./queue-bench.ts";

const ECT0 = 2;

test("packets of one flow come out in the order in which they went in", () => {
  const { queue, arena } = new Bench();
  const pushed = Array.from({ length: 100 }, () => slotOf(arena, {}));
  for (const slot of pushed) queue.push(0, slot);
  const taken = pushed.map(() => {
    const slot = queue.peek(0);
    queue.shift();
    return slot;
  });
  assert.deepEqual(taken, pushed);
  assert.equal(queue.peek(0), -1);
  assert.deepEqual([queue.packets, queue.bytes], [0, 0]);
});

test("a packet that was shown is shown again", () => {
  const bench = new Bench();
  const first = bench.push(0, {});
  bench.push(0, { source: 2, bytes: 100 });
  assert.equal(bench.queue.peek(0), first);
  bench.push(1, { source: 3, bytes: 100 });
  assert.equal(bench.queue.peek(1), first);
  assert.equal(bench.queue.packets, 3);
});

const mixes: [name: string, sizes: number[]][] = [
  ["two flows", [1400, 1400]],
  ["two flows of large and small packets", [1400, 200]],
  ["ten flows of unlike packets", [1400, 1300, 1000, 900, 700, 500, 400, 300, 200, 120]],
];
for (const [name, sizes] of mixes) {
  test(`${name} get equal octets`, () => {
    const { queue, arena } = new Bench();
    const left = sizes.map(() => 0);
    const flowOf = new Map<number, number>();
    const feed = (flow: number) => {
      const slot = slotOf(arena, { source: flow + 1, bytes: sizes[flow] as number });
      flowOf.set(slot, flow);
      queue.push(0, slot);
    };
    for (const flow of sizes.keys()) for (let n = 0; n < 200; n += 1) feed(flow);
    for (let n = 0; n < 20_000; n += 1) {
      const slot = queue.peek(0);
      const flow = flowOf.get(slot) as number;
      left[flow] = (left[flow] as number) + (arena.length[slot] as number);
      queue.shift();
      arena.give(slot);
      feed(flow);
    }
    const spread = Math.max(...left) - Math.min(...left);
    assert.ok(spread <= 2 * (1514 + 1400), `octets ${left}`);
  });
}

test("a sparse flow is served at once, a backlog of others notwithstanding", () => {
  const bench = new Bench();
  for (let n = 0; n < 500; n += 1) bench.push(0, { source: 1 + (n % 5) });
  for (let n = 0; n < 20; n += 1) bench.take(0);
  const sparse = bench.push(1, { source: 77, bytes: 80 });
  assert.equal(bench.take(1), sparse);
});

test("a flow that empties for a moment does not come first for ever", () => {
  const bench = new Bench();
  for (let n = 0; n < 50; n += 1) bench.push(0, { source: 1 });
  let other = 0;
  for (let n = 0; n < 40; n += 1) {
    const slot = bench.push(0, { source: 2 });
    if (bench.take(0) === slot) other += 1;
    if (bench.take(0) === slot) other += 1;
  }
  assert.ok(bench.queue.packets < 50, "the backlog shrinks");
  assert.ok(other > 10, "and the other flow gets its turns");
});

test("when the queue is full the fattest flow pays, from its head", () => {
  const bench = new Bench();
  const { queue } = bench;
  for (let n = 0; n < 20; n += 1) bench.push(0, { source: 10 + n, bytes: 300 });
  for (let n = 0; n < QUEUE_PACKETS_MAX; n += 1) bench.push(0, { bytes: 600 });
  assert.equal(queue.packets, QUEUE_PACKETS_MAX);
  assert.equal(queue.overflowed, 20);
  const left: number[] = [];
  for (let slot = queue.peek(0); slot >= 0; slot = queue.peek(0)) {
    left.push(bench.arena.seq[slot] as number);
    queue.shift();
  }
  left.sort((x, y) => x - y);
  const expected = Array.from({ length: QUEUE_PACKETS_MAX + 20 }, (_, index) => index);
  expected.splice(20, 20);
  assert.deepEqual(left, expected);
});

test("the limit in octets follows the rate", () => {
  const bench = new Bench();
  bench.queue.tune({ rate: 20 * MBIT, intervalUs: 0, allowanceUs: 0, starting: false });
  for (let n = 0; n < 2000; n += 1) bench.push(0, {});
  assert.ok(bench.queue.bytes <= 20 * MBIT * 250 * MS);
  assert.ok(bench.queue.bytes > 20 * MBIT * 240 * MS);
});

/** Keeps `flow` backlogged for two seconds at 1000 packets a second; returns what was counted. */
function overdriven(packet: InnerPacket, depth: number): IngressQueue {
  const bench = new Bench();
  for (let n = 0; n < depth; n += 1) bench.push(0, packet);
  for (let nowUs = 0; nowUs < 2 * SECOND; nowUs += MS) {
    bench.take(nowUs);
    while (bench.queue.packets < depth) bench.push(nowUs, packet);
  }
  return bench.queue;
}

test("congestion is marked where the sender understands marks, and dropped where not", () => {
  const marked = overdriven({ trafficClass: ECT0 }, 40);
  assert.ok(marked.marked > 10 && marked.dropped === 0, `${marked.marked} marked`);
  const dropped = overdriven({}, 40);
  assert.ok(dropped.dropped > 10 && dropped.marked === 0, `${dropped.dropped} dropped`);
});

test("a short queue is neither marked nor dropped", () => {
  const { dropped, marked, expired } = overdriven({}, 4);
  assert.deepEqual([dropped, marked, expired], [0, 0, 0]);
});

test("while no link takes anything, packets leave when they have waited too long", () => {
  const bench = new Bench();
  for (let n = 0; n < 100; n += 1)
    bench.push(n * MS, { protocol: n % 2 === 0 ? 6 : 17, bytes: 200 });
  const awayUs = STANDSTILL_MAX_US + 50 * MS;
  assert.ok(bench.queue.peek(awayUs + 40 * MS) >= 0);
  assert.equal(bench.queue.expired, 0, "nobody is too late for a moment's sake");
  assert.ok(bench.queue.realtimePackets > 5);
  bench.queue.peek(awayUs + QUEUE_DELAY_MAX_US);
  assert.equal(bench.queue.realtimePackets, 0, "voice earlier than others");
  const slot = bench.queue.peek(awayUs + QUEUE_DELAY_MAX_US + 90.5 * MS);
  assert.ok(slot >= 0);
  assert.ok(bench.queue.expired > 40, `${bench.queue.expired}`);
  const last = bench.queue.peek(2 * SECOND);
  assert.ok(last >= 0, "the newest of a flow stays");
  assert.equal(bench.queue.peek(20 * SECOND), last);
  assert.equal(bench.queue.peek(31 * SECOND), -1);
  assert.equal(bench.queue.expired, 100);
  assert.equal(bench.arena.freeCount, bench.arena.slotCount);
});

test("what a flow sent last is what leaves after an outage, and what is sent behind it replaces it", () => {
  const bench = new Bench();
  const tcp = (source: number) => ({ protocol: PROTOCOL.tcp, source, bytes: 1_000 });
  for (let n = 0; n < 20; n += 1) bench.push(n * MS, tcp(1 + (n % 2)));
  bench.queue.peek(SECOND);
  const again = [bench.push(2 * SECOND, tcp(1)), bench.push(3 * SECOND, tcp(2))];
  const taken = [bench.take(9 * SECOND), bench.take(9 * SECOND)];
  assert.deepEqual(taken.sort(), again.sort());
  assert.deepEqual([bench.take(9 * SECOND), bench.queue.packets], [-1, 0]);
});

test("what is not an IP packet passes like any other", () => {
  const { queue, arena } = new Bench();
  const slot = arena.take();
  arena.write(slot, Uint8Array.of(0x20, 1, 2, 3));
  queue.push(0, slot);
  assert.equal(queue.peek(0), slot);
});

/** A step of the property: an arrival, a departure, a pause, a retune, or everything given back. */
type Step =
  | { readonly do: "push"; readonly packet: InnerPacket }
  | { readonly do: "take" | "peek" | "clear" }
  | { readonly do: "wait" | "tune"; readonly ms: number };

const steps = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("push" as const),
      packet: fc.record({
        version: fc.constantFrom(4 as const, 6 as const),
        protocol: fc.constantFrom(1, 6, 17, 50),
        trafficClass: fc.constantFrom(0, 1, 2, 3, 46 << 2),
        source: fc.integer({ min: 0, max: 3 }),
        tcpFlags: fc.constantFrom(0x10, 0x02),
        bytes: fc.integer({ min: 54, max: 1900 }),
      }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("take" as const, "peek" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("wait" as const, "tune" as const),
      ms: fc.integer({ min: 0, max: 60 }),
    }),
  },
);

test("every slot that goes in comes out exactly once: taken, dropped or given back", () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 50, maxLength: 400 }), (list: Step[]) => {
      const { queue, arena } = new Bench(512);
      const waiting = new Set<number>();
      let nowUs = 0;
      let taken = 0;
      let pushed = 0;
      let cleared = 0;
      for (const step of list) {
        if (step.do === "push" && arena.freeCount > 0) {
          pushed += 1;
          const slot = slotOf(arena, step.packet);
          assert.ok(!waiting.has(slot) || arena.freeCount >= 0);
          queue.push(nowUs, slot);
        } else if (step.do === "take" || step.do === "peek") {
          const slot = queue.peek(nowUs);
          if (slot >= 0 && step.do === "take") {
            queue.shift();
            arena.give(slot);
            taken += 1;
          }
        } else if (step.do === "clear") {
          cleared += queue.packets;
          queue.clear();
        } else if (step.do === "wait") nowUs += step.ms * MS;
        else if (step.do === "tune") {
          const service = { intervalUs: step.ms * MS, allowanceUs: step.ms, starting: step.ms < 5 };
          queue.tune({ rate: step.ms / 100, ...service });
        }
        const out = taken + cleared + queue.dropped + queue.expired + queue.overflowed;
        assert.equal(pushed, out + queue.packets);
        assert.equal(arena.freeCount, arena.slotCount - queue.packets);
      }
      const left = queue.packets;
      const slots = new Set<number>();
      while (queue.packets > 0) {
        const slot = queue.peek(nowUs);
        if (slot < 0) break;
        queue.shift();
        slots.add(slot);
      }
      assert.equal(slots.size + arena.freeCount, arena.slotCount);
      assert.ok(slots.size <= left);
      assert.equal(queue.bytes, 0);
    }),
    { numRuns: 300 },
  );
});
