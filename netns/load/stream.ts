/**
 * A stream of small UDP packets at a steady rate, as a call makes it. Two processes:
 *
 *   node stream.js send HOST PORT PACKETS_PER_SECOND SECONDS
 *   node stream.js receive PORT SECONDS [trace]
 *
 * A packet carries its number and the sender's monotonic clock, which is the receiver's too: both run
 * on one machine. The receiver prints `listening`, and at the end a line of JSON, with every arrival in
 * it if `trace` is said.
 */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Trace } from "./arrivals.ts";

/** A 20 ms frame of G.711 speech with its RTP header. */
const PACKET_OCTETS = 172;
const AT = { number: 0, sentNs: 4 } as const;

export interface StreamReceived {
  readonly received: number;
  readonly duplicates: number;
  /** Packets that came after one with a higher number. */
  readonly late: number;
  /** The longest time between two packets, milliseconds. */
  readonly gapMs: number;
  /** One-way delay, milliseconds. */
  readonly delayMaxMs: number;
  readonly delayMedianMs: number;
  readonly delayP95Ms: number;
  /** Absent when it was not asked for. */
  readonly trace?: Trace;
}

export interface StreamSent {
  readonly sent: number;
  /** Packets that the sender's own machine refused. */
  readonly refused: number;
}

function send(host: string, port: number, perSecond: number, seconds: number): void {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  const packet = Buffer.alloc(PACKET_OCTETS);
  const startNs = process.hrtime.bigint();
  const total = perSecond * seconds;
  const stepNs = BigInt(Math.round(1e9 / perSecond));
  let sent = 0;
  let refused = 0;
  let handed = 0;
  socket.on("error", () => {});
  const tick = () => {
    const nowNs = process.hrtime.bigint();
    while (sent < total && startNs + BigInt(sent) * stepNs <= nowNs) {
      packet.writeUInt32BE(sent, AT.number);
      packet.writeBigUInt64BE(process.hrtime.bigint(), AT.sentNs);
      socket.send(Buffer.from(packet), port, host, (error) => {
        if (error !== null) refused += 1;
        handed += 1;
        // A socket that is closed before then forgets its last packet.
        if (handed === total) socket.close(() => console.log(JSON.stringify({ sent, refused })));
      });
      sent += 1;
    }
    if (sent < total) setTimeout(tick, 1);
  };
  tick();
}

interface Arrival {
  readonly number: number;
  readonly sentNs: bigint;
  readonly gotNs: bigint;
}

function receive(port: number, seconds: number, traces: boolean): void {
  const socket = createSocket({ type: "udp6", ipv6Only: false });
  const arrivals: Arrival[] = [];
  socket.on("message", (packet) => {
    const gotNs = process.hrtime.bigint();
    const number = packet.readUInt32BE(AT.number);
    arrivals.push({ number, sentNs: packet.readBigUInt64BE(AT.sentNs), gotNs });
  });
  socket.bind(port, () => console.log("listening"));
  const finish = () => {
    socket.close();
    const trace = traces ? { trace: traceOf(arrivals) } : {};
    console.log(JSON.stringify({ ...judge(arrivals), ...trace }));
  };
  setTimeout(finish, seconds * 1_000);
  process.on("SIGTERM", () => {
    finish();
    process.exit(0);
  });
}

function judge(arrivals: readonly Arrival[]): StreamReceived {
  const seen = new Set<number>();
  let [highest, late, gapNs] = [-1, 0, 0n];
  let before: Arrival | null = null;
  for (const arrival of arrivals) {
    if (arrival.number < highest) late += 1;
    highest = Math.max(highest, arrival.number);
    seen.add(arrival.number);
    if (before !== null) {
      const gap = arrival.gotNs - before.gotNs;
      gapNs = gap > gapNs ? gap : gapNs;
    }
    before = arrival;
  }
  const delays = arrivals.map((one) => Number(one.gotNs - one.sentNs) / 1e6).sort((a, b) => a - b);
  return {
    received: seen.size,
    duplicates: arrivals.length - seen.size,
    late,
    gapMs: Number(gapNs) / 1e6,
    delayMaxMs: delays[delays.length - 1] ?? 0,
    delayMedianMs: delays[Math.floor(delays.length / 2)] ?? 0,
    delayP95Ms: delays[Math.floor(0.95 * delays.length)] ?? 0,
  };
}

function traceOf(arrivals: readonly Arrival[]): Trace {
  const ms = (ns: bigint) => Math.round(Number(ns) / 1e4) / 100;
  return {
    numbers: arrivals.map(({ number }) => number),
    sentMs: arrivals.map(({ sentNs }) => ms(sentNs)),
    gotMs: arrivals.map(({ gotNs }) => ms(gotNs)),
  };
}

const [role = "", ...rest] = process.argv.slice(2);
if (role === "send") send(rest[0] ?? "", Number(rest[1]), Number(rest[2]), Number(rest[3]));
else receive(Number(rest[0]), Number(rest[1]), rest[2] === "trace");
