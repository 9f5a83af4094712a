/**
 * One transport against another, over the same links, in turns: goodput of a TCP flow, what the tunnel
 * adds to the octets, CPU time of both portals, and what the load adds to a ping. What is said of a
 * figure is an interval over the turns, of the ratio (or difference) of neighbours.
 *
 *   turn 1: a b   turn 2: b a   turn 3: a b ...   each: idle ping, load down, load up
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Transport } from "../../src/core/transport.ts";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { type FlowDirection, iperf } from "../load/iperf.ts";
import { ping, quantile } from "../load/ping.ts";
import { type Usage, usage } from "../load/usage.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import { type Interval, meanInterval, ratioInterval, standing } from "../statistics.ts";
import type { Lab } from "../topology/lab.ts";
import { ADDRESS } from "../topology/names.ts";

interface Contest {
  readonly name: string;
  readonly better: Transport;
  readonly other: Transport;
}

interface Stretch {
  readonly name: string;
  readonly summary: string;
  readonly links: readonly string[];
}

const CONTESTS: readonly Contest[] = [
  { name: "stretch-2-udp-beats-tcp", better: "udp", other: "tcp" },
  { name: "stretch-3-raw-beats-udp", better: "raw", other: "udp" },
];

const FOURTH = "rate=25mbit,delay=10ms";
const STRETCHES: readonly Stretch[] = [
  {
    name: "two-equal",
    summary: "2 x 50 Mbit/s",
    links: ["rate=50mbit,delay=10ms", "rate=50mbit,delay=10ms"],
  },
  {
    name: "two-unequal",
    summary: "50 and 12 Mbit/s",
    links: ["rate=50mbit,delay=10ms", "rate=12mbit,delay=20ms"],
  },
  { name: "four", summary: "4 x 25 Mbit/s", links: [FOURTH, FOURTH, FOURTH, FOURTH] },
  {
    name: "lossy",
    summary: "2 x 50 Mbit/s that lose 0.5 %",
    links: ["rate=50mbit,delay=10ms,loss=0.5%", "rate=50mbit,delay=10ms,loss=0.5%"],
  },
  { name: "no-limit", summary: "2 links as fast as the machine", links: ["", ""] },
];

const TURNS = 5;
const SECONDS = { brief: { omit: 2, count: 3 }, full: { omit: 4, count: 8 } };
const IDLE_PINGS = 50;
const PING_INTERVAL_SECONDS = 0.02;
/** Below it a difference of delays is no difference to anybody. */
const DELAY_MATTERS_MS = 1;

/** What is compared, and how: ratios stand beside 1 and differences beside 0; whether more is better. */
const METRICS = [
  { name: "goodput", kind: "ratio", more: true },
  { name: "outer_per_inner", kind: "ratio", more: false },
  { name: "cpu_s_per_gb", kind: "ratio", more: false },
  { name: "added_ms_p50", kind: "difference", more: false },
  { name: "added_ms_p95", kind: "difference", more: false },
] as const;

type Metric = (typeof METRICS)[number];
type Sample = Readonly<Record<Metric["name"], number>>;

/** Of one turn, by transport and direction. */
type Turn = ReadonlyMap<string, Sample>;

export const stretch: readonly Experiment[] = CONTESTS.flatMap((contest) =>
  STRETCHES.map(
    (one): Experiment => ({
      name: `${contest.name}/${one.name}`,
      summary: `${contest.better} against ${contest.other}, ${one.summary}`,
      transport: contest.better,
      demands: [
        ["goodput_behind", "<=", 0],
        ["added_ms_p95_behind", "<=", 0],
        ["outer_per_inner_ahead", ">=", 1],
      ],
      run: (context) => withLab(context, one.links, (lab) => measure(lab, context, contest)),
    }),
  ),
);

async function measure(lab: Lab, context: Context, contest: Contest): Promise<Figures> {
  const directions = context.directions ?? (["down", "up"] as const);
  const turns: Turn[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const order = [contest.better, contest.other];
    if (turn % 2 === 1) order.reverse();
    const samples = new Map<string, Sample>();
    for (const transport of order) {
      context.progress(`turn ${turn + 1}/${TURNS}: ${transport}`);
      const found = await measureTransport(lab, context, transport, directions);
      for (const [direction, sample] of found) samples.set(`${transport} ${direction}`, sample);
    }
    turns.push(samples);
  }
  return compare(turns, contest, directions);
}

async function measureTransport(
  lab: Lab,
  context: Context,
  transport: Transport,
  directions: readonly FlowDirection[],
): Promise<readonly (readonly [FlowDirection, Sample])[]> {
  const portals = await Portals.up(lab, { ...carriage(context), transport });
  try {
    const idle = await pingServer(lab, IDLE_PINGS);
    const found: [FlowDirection, Sample][] = [];
    for (const direction of directions) {
      found.push([direction, await measureLoad(lab, portals, context, direction, median(idle))]);
    }
    return found;
  } finally {
    await portals.down();
  }
}

async function measureLoad(
  lab: Lab,
  portals: Portals,
  context: Context,
  direction: FlowDirection,
  idleMs: number,
): Promise<Sample> {
  const seconds = context.brief ? SECONDS.brief : SECONDS.full;
  const links = lab.links.map((_, index) => index + 1);
  const watched = async () => {
    await sleep(seconds.omit * 1_000);
    const before = await usage(lab, portals, links);
    const pings = await pingServer(lab, Math.floor(seconds.count / PING_INTERVAL_SECONDS));
    return { before, after: await usage(lab, portals, links), pings };
  };
  const [flow, { before, after, pings }] = await Promise.all([
    // A second more than is watched: programs do not start at once.
    iperf(lab, { direction, seconds: seconds.count + 1, omitSeconds: seconds.omit }),
    watched(),
  ]);
  const spent = (of: keyof Usage) => after[of] - before[of];
  return {
    goodput: flow.rate,
    outer_per_inner: spent("outer") / spent("inner"),
    cpu_s_per_gb: spent("cpu") / (spent("inner") / 1e9),
    added_ms_p50: quantile(pings, 0.5) - idleMs,
    added_ms_p95: quantile(pings, 0.95) - idleMs,
  };
}

async function pingServer(lab: Lab, count: number): Promise<readonly number[]> {
  const way = { from: "client", to: ADDRESS.server(4) } as const;
  return (await ping(lab, { ...way, count, interval: PING_INTERVAL_SECONDS })).times;
}

/** For every metric and direction both medians, and where the interval of their pairs lies. */
function compare(
  turns: readonly Turn[],
  { better, other }: Contest,
  directions: readonly FlowDirection[],
): Figures {
  const counts: Record<string, number> = {};
  const details: Record<string, number | string> = {};
  for (const metric of METRICS) {
    const verdicts = directions.map((direction) => {
      const of = (transport: Transport) =>
        turns.map((turn) => turn.get(`${transport} ${direction}`)?.[metric.name] ?? Number.NaN);
      const [mine, theirs] = [of(better), of(other)];
      const { interval, verdict } = judge(metric, mine, theirs);
      const name = `${direction}_${metric.name}`;
      details[`${name}_${better}`] = shown(metric, median(mine));
      details[`${name}_${other}`] = shown(metric, median(theirs));
      details[`${name}_says`] = says(metric, interval, verdict, { better, other });
      return verdict;
    });
    for (const verdict of ["ahead", "behind"] as const) {
      counts[`${metric.name}_${verdict}`] = verdicts.filter((one) => one === verdict).length;
    }
  }
  return { turns: turns.length, ...counts, ...details };
}

type Verdict = "ahead" | "behind" | "level";

function judge(metric: Metric, mine: readonly number[], theirs: readonly number[]) {
  const pairs = mine.map((value, index): [number, number] => [value, theirs[index] ?? Number.NaN]);
  const isRatio = metric.kind === "ratio";
  const interval = isRatio
    ? ratioInterval(pairs.map(([a, b]) => a / b))
    : meanInterval(pairs.map(([a, b]) => a - b));
  const matters = isRatio || Math.abs(interval.mean) >= DELAY_MATTERS_MS;
  const where = matters ? standing(interval, isRatio ? 1 : 0) : "level";
  const verdict: Verdict =
    where === "level" ? "level" : (where === "above") === metric.more ? "ahead" : "behind";
  return { interval, verdict };
}

/** `udp ahead of tcp: 1.013 [1.002, 1.024]`. */
function says(
  { kind }: Metric,
  { mean, low, high }: Interval,
  verdict: Verdict,
  { better, other }: Pick<Contest, "better" | "other">,
): string {
  const number = (value: number) => value.toFixed(kind === "ratio" ? 4 : 1);
  const what = `${number(mean)} [${number(low)}, ${number(high)}]${kind === "ratio" ? "" : " ms"}`;
  if (verdict === "level") return `${better} level with ${other}: ${what}`;
  return `${better} ${verdict === "ahead" ? "ahead of" : "behind"} ${other}: ${what}`;
}

function shown({ name }: Metric, value: number): number {
  return name === "goodput" ? round(value / 1e6, 2) : round(value);
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
