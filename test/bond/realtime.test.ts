/** The realtime class of the shared queue: who is in it, what goes first, and what it may take at most. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { REALTIME_PACKETS_MAX } from "../../src/bond/queue/realtime.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { PROTOCOL } from "../../src/wire/inner.ts";
import { type InnerPacket, slotOf } from "./inner-packets.ts";
import { Bench, MBIT } from "./queue-bench.ts";

const UDP = PROTOCOL.udp;
// biome-ignore format: a table reads in columns
const classes: [name: string, packet: InnerPacket, realtime: boolean][] = [
  ["voice marked EF",            { trafficClass: 46 << 2, protocol: UDP, bytes: 200 },  true],
  ["VOICE-ADMIT",                { trafficClass: 44 << 2, bytes: 1400 },                true],
  ["routing marked CS6",         { trafficClass: 48 << 2, bytes: 100 },                 true],
  ["EF in IPv6",                 { version: 6, trafficClass: 46 << 2, bytes: 200 },     true],
  ["AF41 video over TCP",        { trafficClass: 34 << 2 },                             false],
  ["a fragment marked EF",       { trafficClass: 46 << 2, fragment: 0x2000 },           true],
  ["an echo request",            { protocol: 1, icmpType: 8, bytes: 84 },               true],
  ["an echo reply in IPv6",      { version: 6, protocol: 58, icmpType: 129, bytes: 104 }, true],
  ["an unreachable message",     { protocol: 1, icmpType: 3, bytes: 84 },               false],
  ["a TCP SYN",                  { tcpFlags: 0x02, bytes: 60 },                         true],
  ["a TCP SYN and ACK",          { tcpFlags: 0x12, bytes: 60 },                         true],
  ["a TCP ACK",                  { tcpFlags: 0x10, bytes: 52 },                         false],
  ["a TCP segment",              {},                                                    false],
  ["a TCP segment of DNS",       { destinationPort: 53, bytes: 120 },                   true],
  ["a lone UDP packet",          { protocol: UDP, bytes: 160 },                         true],
  ["a full UDP packet",          { protocol: UDP, bytes: 1400 },                        false],
  ["a UDP fragment",             { protocol: UDP, bytes: 160, fragment: 0x2000 },       false],
  ["ESP",                        { protocol: 50, bytes: 160 },                          false],
];
for (const [name, packet, realtime] of classes) {
  test(`${name} is ${realtime ? "" : "not "}realtime`, () => {
    const bench = new Bench();
    for (let n = 0; n < 10; n += 1) bench.push(0, { source: 99 });
    const slot = bench.push(0, packet);
    assert.equal(bench.queue.realtimePackets, realtime ? 1 : 0);
    assert.equal(bench.queue.peek(0) === slot, realtime);
    assert.equal(bench.queue.headRealtime, realtime);
  });
}

test("a realtime packet goes before one that was already shown", () => {
  const bench = new Bench();
  const bulk = bench.push(0, {});
  assert.equal(bench.queue.peek(0), bulk);
  const voice = bench.push(1, { trafficClass: 46 << 2, source: 3, bytes: 200 });
  assert.equal(bench.queue.peek(1), voice);
  const flow = bench.queue.headFlow;
  bench.queue.shift();
  assert.equal(bench.queue.peek(1), bulk);
  assert.notEqual(bench.queue.headFlow, flow);
});

/** Share of a flow's packets that were realtime, of `perSecond` packets in each of two seconds. */
function realtimeShare(perSecond: number, bytes: number): number {
  const bench = new Bench();
  let realtime = 0;
  let count = 0;
  for (let nowUs = 0; nowUs < 2 * SECOND; nowUs += SECOND / perSecond, count += 1) {
    bench.push(nowUs, { protocol: UDP, bytes });
    bench.queue.peek(nowUs);
    if (bench.queue.headRealtime) realtime += 1;
    bench.take(nowUs);
  }
  return realtime / count;
}

test("thin UDP is realtime, fat UDP only in its first packets", () => {
  assert.equal(realtimeShare(50, 200), 1);
  assert.equal(realtimeShare(190, 200), 1);
  assert.ok(realtimeShare(300, 200) < 0.1);
  assert.equal(realtimeShare(150, 1200), 1);
  assert.ok(realtimeShare(1000, 1200) < 0.02);
});

const TEN_MBIT = { rate: 10 * MBIT, intervalUs: 50 * MS, allowanceUs: 0, starting: false };

test("many thin flows together take no more than the share of the class", () => {
  const bench = new Bench();
  bench.queue.tune(TEN_MBIT);
  let realtime = 0;
  // 100 flows, each of 10 packets and 100 kbit/s, and a bulk flow, served at 10 Mbit/s.
  for (let n = 0; n < 5000; n += 1) {
    const nowUs = n * MS;
    bench.push(nowUs, { protocol: UDP, source: n % 100, sourcePort: n % 100, bytes: 1250 });
    if (bench.queue.packets < 200) bench.push(nowUs, { source: 200, bytes: 1250 });
    bench.queue.peek(nowUs);
    if (bench.queue.headRealtime) realtime += 1;
    bench.take(nowUs);
  }
  assert.ok(realtime < 0.27 * 5000 && realtime > 0.1 * 5000, `${realtime} of 5000`);
});

test("one who marks a download EF takes turns, and a voice call beside it does not notice", () => {
  const bench = new Bench();
  const { queue } = bench;
  queue.tune(TEN_MBIT);
  const left = { download: 0, bulk: 0, voice: 0, late: 0 };
  for (let n = 0; n < 5000; n += 1) {
    const nowUs = n * MS;
    bench.push(nowUs, { trafficClass: 46 << 2, source: 7, bytes: 1250 });
    bench.push(nowUs, { source: 9, bytes: 1250 });
    if (n % 20 === 0) bench.push(nowUs, { trafficClass: 46 << 2, source: 8, bytes: 200 });
    const slot = queue.peek(nowUs);
    const source = bench.arena.octets[(bench.arena.start[slot] as number) + 15];
    if (source === 8) left.voice += 1;
    if (source === 8 && !queue.headRealtime) left.late += 1;
    if (source === 7) left.download += 1;
    if (source === 9) left.bulk += 1;
    bench.take(nowUs);
  }
  assert.ok(left.voice >= 249 && left.late <= 2, JSON.stringify(left));
  assert.ok(left.download < 0.55 * 5000 && left.bulk > 0.4 * 5000, JSON.stringify(left));
});

test("a flow is never put out of order by the class", () => {
  const bench = new Bench();
  bench.queue.tune({ rate: 1 * MBIT, intervalUs: 50 * MS, allowanceUs: 0, starting: false });
  const sent: number[] = [];
  const got: number[] = [];
  let turn = 0;
  for (let nowUs = 0; nowUs < 3 * SECOND; nowUs += MS) {
    const burst = Math.floor(nowUs / (300 * MS)) % 2 === 0;
    if (burst || nowUs % (30 * MS) === 0) {
      const slot = slotOf(bench.arena, { protocol: UDP, bytes: burst ? 900 : 100 });
      bench.arena.seq[slot] = sent.length;
      sent.push(slot);
      bench.queue.push(nowUs, slot);
    }
    turn += 1;
    if (turn % 5 !== 0) continue;
    const slot = bench.queue.peek(nowUs);
    if (slot < 0) continue;
    got.push(bench.arena.seq[slot] as number);
    bench.take(nowUs);
  }
  assert.ok(got.length > 300);
  assert.deepEqual(
    got,
    [...got].sort((x, y) => x - y),
  );
});

test("the realtime queue is bounded in packets", () => {
  const bench = new Bench();
  for (let n = 0; n < 2 * REALTIME_PACKETS_MAX; n += 1) {
    bench.push(0, { trafficClass: 46 << 2, source: n & 0xff, sourcePort: n, bytes: 100 });
  }
  assert.equal(bench.queue.realtimePackets, REALTIME_PACKETS_MAX);
  assert.equal(bench.queue.packets, 2 * REALTIME_PACKETS_MAX);
});
