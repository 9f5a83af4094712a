/**
 * What a saturating TCP flow does to others: a ping every 20 ms and a voice stream in the flow's
 * direction, through the bond, and the same over one link without the tunnel.
 *
 *   added_ms_p50, _p95   round trip of the ping under load less its idle median
 *   worst_ms             the longest round trip, the flow's start included
 *   voice_added_ms_p95   one-way delay of the stream under load less its idle median
 *   queue_ms_p95         at the bottlenecks, see `bond.ts`
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { type Load, loadName, loadsOf } from "../load/goodput.ts";
import { iperf } from "../load/iperf.ts";
import { type PingResult, ping, quantile } from "../load/ping.ts";
import { runStream, type StreamResult } from "../load/processes.ts";
import { type Delays, idleDelays, linkDelays, queueMs } from "../load/queue.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import { ADDRESS } from "../topology/names.ts";

const LINK = "rate=50mbit,delay=10ms";
const SECONDS = { brief: { settle: 3, count: 5 }, full: { settle: 5, count: 15 } };
/** Seconds after the measurement in which the load goes on: programs do not start at once. */
const TAIL_SECONDS = 1;
const PING_INTERVAL_SECONDS = 0.02;
const VOICE_PER_SECOND = 50;

export const latencyUnderLoad: Experiment = {
  name: "latency-under-load",
  summary:
    "ping and voice beside a saturating flow over 2 x 50 Mbit/s, and over one link without tunnel",
  demands: [
    ["added_ms_p95", "<=", 15],
    ["voice_added_ms_p95", "<=", 15],
    ["voice_lost", "<=", 0],
    ["queue_ms_p95", "<=", 15],
  ],
  run: (context) => withLab(context, [LINK, LINK], (lab) => measure(lab, context)),
};

/** Milliseconds, but for the counts and the rate. */
interface Seen {
  readonly mbit: number;
  readonly p50: number;
  readonly p95: number;
  readonly worst: number;
  readonly pingsLost: number;
  readonly voiceP95: number;
  readonly voiceWorst: number;
  readonly voiceLost: number;
  readonly queueP95: number | null;
}

interface Idle {
  readonly pingMs: number;
  readonly voiceMs: Readonly<Record<Load["direction"], number>>;
  readonly links: readonly Delays[];
}

async function measure(lab: Lab, context: Context): Promise<Figures> {
  const loads = loadsOf(context, [1]);
  await lab.direct(1);
  const plain = await observeAll(lab, context, loads, "plain", [1]);
  await lab.direct(null);
  const portals = await Portals.up(lab, carriage(context));
  const bond = await observeAll(lab, context, loads, "bond", [1, 2]);
  await portals.down();
  const worst = (seen: readonly Seen[], of: (one: Seen) => number) => Math.max(...seen.map(of));
  return {
    added_ms_p50: worst(bond.seen, (one) => one.p50),
    added_ms_p95: worst(bond.seen, (one) => one.p95),
    worst_ms: worst(bond.seen, (one) => one.worst),
    voice_added_ms_p95: worst(bond.seen, (one) => one.voiceP95),
    voice_lost: worst(bond.seen, (one) => one.voiceLost),
    queue_ms_p95: worst(bond.seen, (one) => one.queueP95 ?? Number.POSITIVE_INFINITY),
    plain_added_ms_p50: worst(plain.seen, (one) => one.p50),
    plain_added_ms_p95: worst(plain.seen, (one) => one.p95),
    ...plain.figures,
    ...bond.figures,
  };
}

interface Observed {
  readonly seen: readonly Seen[];
  readonly figures: Record<string, number | null>;
}

async function observeAll(
  lab: Lab,
  context: Context,
  loads: readonly Load[],
  what: "plain" | "bond",
  links: readonly number[],
): Promise<Observed> {
  context.progress(`${what}: idle`);
  const idle = await observeIdle(lab, links, context.brief);
  const seen: Seen[] = [];
  const figures: Record<string, number | null> = { [`${what}_idle_ms_p50`]: round(idle.pingMs, 1) };
  for (const load of loads) {
    context.progress(`${what}: ${loadName(load)}`);
    const one = await observe(lab, load, links, idle, context.brief);
    seen.push(one);
    Object.assign(figures, detailsOf(`${what}_${loadName(load)}`, one));
  }
  return { seen, figures };
}

async function observeIdle(lab: Lab, links: readonly number[], brief: boolean): Promise<Idle> {
  const seconds = brief ? 1 : 3;
  const { times } = await pingServer(lab, seconds);
  const voice = async (direction: Load["direction"]) =>
    (await runStream(lab, { perSecond: VOICE_PER_SECOND, seconds, direction })).delayMedianMs;
  return {
    pingMs: quantile(times, 0.5),
    voiceMs: { up: await voice("up"), down: await voice("down") },
    links: await idleDelays(lab, links),
  };
}

async function observe(
  lab: Lab,
  load: Load,
  links: readonly number[],
  idle: Idle,
  brief: boolean,
): Promise<Seen> {
  const { settle, count } = brief ? SECONDS.brief : SECONDS.full;
  const { direction } = load;
  const later = async <T>(what: () => Promise<T>) => {
    await sleep(settle * 1_000);
    return what();
  };
  const [flow, pings, voice, delays] = await Promise.all([
    iperf(lab, { ...load, seconds: count + TAIL_SECONDS, omitSeconds: settle }),
    pingServer(lab, settle + count),
    later(() => runStream(lab, { perSecond: VOICE_PER_SECOND, seconds: count, direction })),
    later(() => linkDelays(lab, links, count)),
  ]);
  const queues = delays.map((loaded, index) => queueMs(loaded, idle.links[index] ?? []));
  const known = queues.filter((queue) => queue !== null);
  return {
    mbit: round(flow.rate / 1e6, 1),
    ...pingFigures(pings, settle, idle.pingMs),
    ...voiceFigures(voice, idle.voiceMs[direction]),
    queueP95: known.length === 0 ? null : Math.max(...known),
  };
}

function pingServer(lab: Lab, seconds: number): Promise<PingResult> {
  const count = Math.floor(seconds / PING_INTERVAL_SECONDS);
  return ping(lab, {
    ...{ from: "client", to: ADDRESS.server(4) },
    ...{ count, interval: PING_INTERVAL_SECONDS },
  });
}

function pingFigures({ sent, answers, times }: PingResult, settle: number, idleMs: number) {
  const first = settle / PING_INTERVAL_SECONDS;
  const settled = times.filter((_, index) => (answers[index] ?? 0) > first);
  const added = (share: number) => round(quantile(settled, share) - idleMs, 1);
  return {
    p50: added(0.5),
    p95: added(0.95),
    worst: round(Math.max(...times), 1),
    pingsLost: sent - new Set(answers).size,
  };
}

function voiceFigures(voice: StreamResult, idleMs: number) {
  return {
    voiceP95: round(voice.delayP95Ms - idleMs, 1),
    voiceWorst: round(voice.delayMaxMs, 1),
    voiceLost: voice.lost,
  };
}

function detailsOf(name: string, one: Seen): Record<string, number | null> {
  return {
    [`${name}_mbit`]: one.mbit,
    [`${name}_added_ms_p50`]: one.p50,
    [`${name}_added_ms_p95`]: one.p95,
    [`${name}_worst_ms`]: one.worst,
    [`${name}_pings_lost`]: one.pingsLost,
    [`${name}_voice_added_ms_p95`]: one.voiceP95,
    [`${name}_voice_worst_ms`]: one.voiceWorst,
    [`${name}_voice_lost`]: one.voiceLost,
    [`${name}_queue_ms_p95`]: one.queueP95,
  };
}
