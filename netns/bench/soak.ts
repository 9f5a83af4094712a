/**
 * A tunnel's long day in minutes: keys are agreed on every 5 s, flows come and go, links are cut one by one and all
 * together, so long that the session is renewed, and a second client is killed and starts again. All the while memory without garbage, descriptors, threads and
 * what is left in the kernel are looked at; after the warm-up they must stay what they are.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseLink } from "../link-options.ts";
import { iperf } from "../load/iperf.ts";
import { runDatagrams, runStream, runTransfer } from "../load/processes.ts";
import type { TransportChoice } from "../portal-files.ts";
import { Portals } from "../portals.ts";
import { removeOnSignal } from "../signals.ts";
import { Lab } from "../topology/lab.ts";
import { ADDRESS } from "../topology/names.ts";
import {
  longestPauseMs,
  NODE_ARGUMENTS,
  type Sample,
  Sampler,
  SIDES,
  type Side,
  trendOf,
} from "./soak-samples.ts";

const LINK = "rate=50mbit,delay=5ms,live,neighbour";
const SAMPLE_MS = 4_000;
/** The share of the run that does not count: V8 sizes its heap, the arena's pages are touched. */
const WARM_UP_SHARE = 0.25;
/**
 * By how much memory may grow in the rest of the run: what is resident moves by whole pages and arenas of malloc, and
 * V8 compiles for minutes what is seldom run.
 */
const GROWTH_MIB_MAX = { rss: 2, heap: 1, buffers: 0.5 };
const PACE = 10e6;
const FLOW_SECONDS = 14;
const STREAM = { perSecond: 200, seconds: FLOW_SECONDS };
const TRANSFERS = 4;
const TRANSFER = { bytes: 512 * 1024, limitMs: 30_000 };
/** Long enough for the session to be renewed. */
const ALL_CUT_MS = 4_500;
/** As often as it can be asked for. */
const REKEY = "rekey_seconds = 5";
/** Fills the queue once, before anything counts. */
const FLOOD = { octets: 200, perSecond: 40_000, seconds: 3 };
const LIMIT_MS = 20_000;

export interface SoakOptions {
  readonly minutes: number;
  readonly transport: TransportChoice;
  readonly progress: (text: string) => void;
}

/** Of one portal. */
export interface SoakRow {
  readonly side: Side;
  readonly first: Sample;
  readonly last: Sample;
  readonly rssMost: number;
  /** After the warm-up: the median slope of all pairs of samples (Theil and Sen), MiB an hour, and what that adds up to. */
  readonly mibPerHour: number;
  readonly growthMib: number;
  /** Of V8's heap and of array buffers, likewise. */
  readonly heapGrowthMib: number;
  readonly buffersGrowthMib: number;
  /** The longest pause of a garbage collection, milliseconds. */
  readonly pauseMs: number;
  readonly flat: boolean;
}

export interface Soak {
  readonly minutes: number;
  readonly cycles: number;
  readonly transport: TransportChoice;
  readonly rows: readonly SoakRow[];
}

export async function soak(options: SoakOptions): Promise<Soak> {
  const standing = new Set<Lab>();
  const stopListening = removeOnSignal(standing);
  const lab = await Lab.up({ links: [parseLink(LINK), parseLink(LINK)], standing });
  try {
    return await run(lab, options);
  } finally {
    await lab.down();
    stopListening();
  }
}

async function run(lab: Lab, { minutes, transport, progress }: SoakOptions): Promise<Soak> {
  const portals = await Portals.up(lab, {
    ...{ transport, neighbour: true, node: NODE_ARGUMENTS, peer: [REKEY] },
  });
  const sampler = new Sampler(lab, portals, SAMPLE_MS);
  const endMs = performance.now() + minutes * 60_000;
  await flood(lab);
  let cycles = 0;
  while (performance.now() < endMs) {
    const left = Math.ceil((endMs - performance.now()) / 1_000);
    progress(`cycle ${cycles + 1}, ${left} s left`);
    await cycle(lab, portals, cycles);
    cycles += 1;
  }
  const samples = await sampler.stop();
  const rows = SIDES.map((side) => row(side, samples[side], portals.output(side)));
  await portals.down();
  return { minutes, cycles, transport, rows };
}

async function flood(lab: Lab): Promise<void> {
  const { octets, perSecond, seconds } = FLOOD;
  await runDatagrams(lab, {
    ...{ kind: "udp", number: 6020, from: "client", to: "server", octets, perSecond, seconds },
    ...{ source: ADDRESS.client(4), target: ADDRESS.server(4), count: perSecond * seconds },
  });
}

async function cycle(lab: Lab, portals: Portals, number: number): Promise<void> {
  const direction = number % 2 === 0 ? "up" : "down";
  const load = Promise.all([
    iperf(lab, { direction, seconds: FLOW_SECONDS, omitSeconds: 0, pace: PACE }),
    runStream(lab, { ...STREAM, direction: "down" }),
  ]);
  await Promise.all([load, faults(lab, portals, number)]);
  await portals.waitLinks(2, LIMIT_MS);
  for (let index = 0; index < TRANSFERS; index += 1) {
    await runTransfer(lab, { ...TRANSFER, seed: number * TRANSFERS + index });
  }
}

async function faults(lab: Lab, portals: Portals, number: number): Promise<void> {
  const one = (number % 2) + 1;
  await sleep(1_000);
  await lab.cut(one);
  await sleep(2_000);
  await lab.restore(one);
  await sleep(1_500);
  await Promise.all([lab.cut(1), lab.cut(2)]);
  await portals.kill("neighbour");
  await sleep(ALL_CUT_MS);
  await Promise.all([lab.restore(1), lab.restore(2)]);
  portals.start("neighbour");
}

function row(side: Side, samples: readonly Sample[], trace: string): SoakRow {
  const settled = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const [first, last] = [settled[0], settled.at(-1)];
  if (first === undefined || last === undefined) throw new Error("a soak without a sample");
  const { perHour: mibPerHour, total: growthMib } = trendOf(settled, ({ rssMib }) => rssMib);
  const heap = trendOf(settled, ({ heapMib }) => heapMib).total;
  const buffers = trendOf(settled, ({ buffersMib }) => buffersMib).total;
  const flat =
    growthMib <= GROWTH_MIB_MAX.rss &&
    heap <= GROWTH_MIB_MAX.heap &&
    buffers <= GROWTH_MIB_MAX.buffers &&
    last.descriptors <= first.descriptors &&
    last.threads <= first.threads &&
    last.rules <= first.rules;
  return {
    ...{ side, first, last, mibPerHour, growthMib, flat },
    rssMost: Math.max(...samples.map(({ rssMib }) => rssMib)),
    ...{ heapGrowthMib: heap, buffersGrowthMib: buffers },
    pauseMs: longestPauseMs(trace),
  };
}
