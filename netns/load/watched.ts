/**
 * The load under which faults are judged: a TCP flow, paced or as fast as it goes, and a stream of 200
 * small packets a second each way, every arrival of which is written down.
 */
import type { Lab } from "../topology/lab.ts";
import { delayBetween, gapBetween, lostBetween, type Trace } from "./arrivals.ts";
import { type Flow, type FlowDirection, iperf } from "./iperf.ts";
import { runStream, type StreamResult } from "./processes.ts";

const PACKETS_PER_SECOND = 200;
const INTERVAL_SECONDS = 0.1;
/** Bits per second of a flow the other way: two links of 50 Mbit/s carry it, and one does not. */
const OTHER_PACE = 60e6;
const OTHER_PORT = 5202;
/** A flow that hangs longer than this at its end has failed. */
const SLACK_MS = 8_000;

export interface WatchedOptions {
  /** Of the TCP flow; the streams run in both. */
  readonly direction: FlowDirection;
  readonly seconds: number;
  /** Bits per second of the TCP flow; null: as fast as it goes. */
  readonly pace: number | null;
  /** Another flow the other way at the same time. */
  readonly other?: boolean;
}

/** What became of it. */
export interface Watched {
  readonly flow: Flow;
  /** Null when it was not asked for. */
  readonly other: Flow | null;
  /** Up and down. */
  readonly streams: readonly (StreamResult & { readonly trace: Trace })[];
  /** Of a stream that does not go through the tunnel: its gaps are the machine's. */
  readonly beside: Trace;
}

/** What users noticed between two moments: the worse of both streams, the sum of what they lost. */
export interface Noticed {
  /** The longest silence at a receiver, milliseconds. */
  readonly gapMs: number;
  /** When that began. */
  readonly gapFromMs: number;
  /** The longest way of a packet that came, milliseconds. */
  readonly delayMs: number;
  readonly lost: number;
  /** The longest silence beside the tunnel: of this or less the machine may be the cause. */
  readonly machineMs: number;
}

const NO_TRACE: Trace = { numbers: [], sentMs: [], gotMs: [] };

export async function watchedLoad(lab: Lab, options: WatchedOptions): Promise<Watched> {
  const { direction, seconds, pace } = options;
  const stream = { perSecond: PACKETS_PER_SECOND, seconds, trace: true };
  const tcp = { seconds, omitSeconds: 0, interval: INTERVAL_SECONDS, slackMs: SLACK_MS };
  const [flow, other, beside, ...streams] = await Promise.all([
    iperf(lab, { ...tcp, direction, ...(pace === null ? {} : { pace }) }),
    options.other === true ? iperf(lab, { ...tcp, ...against(direction) }) : null,
    runStream(lab, { ...stream, besideTunnel: true }),
    ...(["up", "down"] as const).map((direction) => runStream(lab, { ...stream, direction })),
  ]);
  return {
    flow,
    other,
    streams: streams.map((one) => ({ ...one, trace: one.trace ?? NO_TRACE })),
    beside: beside.trace ?? NO_TRACE,
  };
}

function against(direction: FlowDirection) {
  const other: FlowDirection = direction === "up" ? "down" : "up";
  return { direction: other, pace: OTHER_PACE, port: OTHER_PORT };
}

export function noticed({ streams, beside }: Watched, fromMs: number, toMs: number): Noticed {
  const gap = streams
    .map(({ trace }) => gapBetween(trace, fromMs, toMs))
    .reduce((worst, one) => (one.ms > worst.ms ? one : worst));
  return {
    gapMs: gap.ms,
    gapFromMs: gap.fromMs,
    delayMs: Math.max(...streams.map(({ trace }) => delayBetween(trace, fromMs, toMs))),
    lost: streams.reduce(
      (sum, { trace, sent }) => sum + lostBetween(trace, PACKETS_PER_SECOND, fromMs, toMs, sent),
      0,
    ),
    machineMs: gapBetween(beside, fromMs, toMs).ms,
  };
}
