/**
 * One of two links of 50 Mbit/s falls to a fifth of its rate under load and comes back; its queue keeps
 * its octets, so that it becomes five times as long.
 *
 *   0               slower             faster            end
 *   |--- 50 + 50 ---|----- 10 + 50 ----|---- 50 + 50 ----|
 *
 *   slower_s, faster_s   until the mean of a second first reaches 90 % of the new achievable rate: what
 *                        was carried before the first step, in proportion to the rates
 *   slower_of_expected   mean of the phase over that rate; faster_of_expected likewise
 *   worst_queue_ms       the longest round trip over the changed link beside the tunnel from the first
 *                        step on, less the idle one
 *   queue_back_s         from the first step until that is below 25 ms for half a second
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { type Load, loadName, loadsOf } from "../load/goodput.ts";
import { type Flow, iperf } from "../load/iperf.ts";
import { type PingResult, ping, quantile } from "../load/ping.ts";
import { idleDelays } from "../load/queue.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import { ADDRESS } from "../topology/names.ts";

const RATE = { full: 50e6, slow: 10e6 } as const;
const LINK = `rate=${RATE.full / 1e6}mbit,delay=10ms`;
/** Seconds from the start. */
const TIMES = {
  brief: { slower: 5, faster: 8, end: 12 },
  full: { slower: 10, faster: 20, end: 32 },
};
/** Seconds at the start that do not tell what is achievable. */
const SETTLE_SECONDS = 4;
const REACHED = 0.9;
const MEAN_SECONDS = 1;
const INTERVAL_SECONDS = 0.1;
const PING_INTERVAL_SECONDS = 0.02;
const QUEUE_BACK_MS = 25;
const QUEUE_BACK_PINGS = 0.5 / PING_INTERVAL_SECONDS;

export const ext3Adapts: Experiment = {
  name: "ext-3-adapts",
  summary: "one of two links steps from 50 to 10 Mbit/s and back under TCP",
  demands: [
    ["slower_s", "<=", 2],
    ["faster_s", "<=", 4],
    ["queue_back_s", "<=", 2],
  ],
  run: (context) => withLab(context, [LINK, LINK], (lab) => measure(lab, context)),
};

/** Seconds; infinite: not before the end of the phase. */
interface Adapted {
  readonly slower_s: number;
  readonly faster_s: number;
  readonly slower_of_expected: number;
  readonly faster_of_expected: number;
  readonly worst_queue_ms: number;
  readonly queue_back_s: number;
  readonly before_mbit: number;
}

async function measure(lab: Lab, context: Context): Promise<Figures> {
  const portals = await Portals.up(lab, carriage(context));
  const [idle = []] = await idleDelays(lab, [1]);
  const each: Adapted[] = [];
  const figures: Record<string, number | null> = {};
  for (const load of loadsOf(context, [1])) {
    const adapted = await stepsUnder(lab, context, load, quantile(idle, 0.5));
    each.push(adapted);
    for (const [name, value] of Object.entries(adapted)) {
      figures[`${loadName(load)}_${name}`] = known(value);
    }
  }
  await portals.down();
  const worst = (of: (one: Adapted) => number) => known(Math.max(...each.map(of)));
  return {
    slower_s: worst((one) => one.slower_s),
    faster_s: worst((one) => one.faster_s),
    worst_queue_ms: worst((one) => one.worst_queue_ms),
    queue_back_s: worst((one) => one.queue_back_s),
    ...figures,
  };
}

async function stepsUnder(lab: Lab, context: Context, load: Load, idleMs: number) {
  const times = context.brief ? TIMES.brief : TIMES.full;
  context.progress(`${loadName(load)}: ${times.end} s`);
  const loads = Promise.all([
    iperf(lab, { ...load, seconds: times.end, omitSeconds: 0, interval: INTERVAL_SECONDS }),
    pingLink(lab, times.end),
  ]);
  const step = async (afterSeconds: number, rate: number) => {
    await Promise.race([sleep(afterSeconds * 1_000), loads]);
    context.progress(`${loadName(load)}: link 1 has ${rate / 1e6} Mbit/s`);
    await lab.rate(1, load.direction, rate);
  };
  await step(times.slower, RATE.slow);
  await step(times.faster - times.slower, RATE.full);
  const [flow, pings] = await loads;
  return judgeSteps(flow, pings, times, idleMs);
}

function judgeSteps(
  flow: Flow,
  pings: PingResult,
  times: (typeof TIMES)["full"],
  idleMs: number,
): Adapted {
  const before = meanRate(flow, SETTLE_SECONDS, times.slower);
  const slow = before * ((RATE.slow + RATE.full) / (2 * RATE.full));
  const queue = queueAfter(pings, times.slower, idleMs);
  return {
    slower_s: reached(flow, times.slower, times.faster, REACHED * slow),
    faster_s: reached(flow, times.faster, times.end, REACHED * before),
    slower_of_expected: meanRate(flow, times.slower, times.faster) / slow,
    faster_of_expected: meanRate(flow, times.faster, times.end) / before,
    worst_queue_ms: Math.max(...queue),
    queue_back_s: backAfter(queue),
    before_mbit: before / 1e6,
  };
}

function pingLink(lab: Lab, seconds: number): Promise<PingResult> {
  const way = { source: ADDRESS.access(4, 1, 2), to: ADDRESS.transit(4, 1, 2) };
  const count = Math.floor(seconds / PING_INTERVAL_SECONDS);
  return ping(lab, { from: "lp", ...way, count, interval: PING_INTERVAL_SECONDS });
}

function meanRate(flow: Flow, from: number, to: number): number {
  const inside = flow.intervals.filter(({ end }) => end > from && end <= to + INTERVAL_SECONDS / 2);
  return inside.reduce((sum, { rate }) => sum + rate, 0) / Math.max(1, inside.length);
}

/** Seconds from `from` to the first mean of a second that reaches `rate`; infinite when none does. */
function reached(flow: Flow, from: number, to: number, rate: number): number {
  for (let at = from; at + MEAN_SECONDS <= to; at += INTERVAL_SECONDS) {
    if (meanRate(flow, at, at + MEAN_SECONDS) >= rate) return at - from;
  }
  return Number.POSITIVE_INFINITY;
}

/** Milliseconds added to each ping that was sent after `from` and came back. */
function queueAfter({ answers, times }: PingResult, from: number, idleMs: number): number[] {
  const first = from / PING_INTERVAL_SECONDS;
  return times.filter((_, index) => (answers[index] ?? 0) > first).map((time) => time - idleMs);
}

/** Seconds until the queue rests below the limit after it was first above it; 0 when it never was. */
function backAfter(queue: readonly number[]): number {
  const start = queue.findIndex((added) => added >= QUEUE_BACK_MS);
  if (start === -1) return 0;
  for (let at = start; at + QUEUE_BACK_PINGS <= queue.length; at += 1) {
    const rests = queue.slice(at, at + QUEUE_BACK_PINGS).every((added) => added < QUEUE_BACK_MS);
    if (rests) return at * PING_INTERVAL_SECONDS;
  }
  return Number.POSITIVE_INFINITY;
}

const known = (value: number) => (Number.isFinite(value) ? round(value) : null);
