/**
 * One of two links is cut without a word, again and again in one tunnel's life: the first and the second
 * in turn, both directions, the way up only, the way down only. A TCP flow and 200 packets a second each
 * way run all the while.
 *
 *   |-- lead --|-- cut --|-- both links --|-- cut --|-- both links --| ...
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "../../src/core/random.ts";
import type { Direction } from "../emulator/control.ts";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { monotonicMs } from "../load/arrivals.ts";
import { type LossesByWay, lossesBetween, lossesSoFar } from "../load/losses.ts";
import { quantile } from "../load/ping.ts";
import { longestStall, rateBetween } from "../load/progress.ts";
import { noticed, type Watched, watchedLoad } from "../load/watched.ts";
import { Portals } from "../portals.ts";
import { type Demand, type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";

const LINK = "rate=50mbit,delay=10ms,live";
/** Half of the 91 Mbit/s that one flow gets over both links: just what one of them carries. */
const HALF_LOAD = 45e6;
/** A link that was cut lives for ten seconds before it is cut again, over TCP for nine: it does not flap. */
const TIMES = {
  brief: { leadMs: 2_500, cutMs: 700, bothMs: 2_000, cuts: 4 },
  full: { leadMs: 4_000, cutMs: 1_000, bothMs: 4_700, cuts: 24 },
};
/** A cut falls anywhere between two probes. */
const JITTER_MS = 200;
/** After a return. */
const WATCH_MS = 900;
/** For what the last return makes. */
const TAIL_MS = 1_000;

const KINDS: Readonly<Record<string, readonly Direction[]>> = {
  ...{ both: ["up", "down"], up: ["up"], down: ["down"] },
};

interface Cut {
  readonly kind: string;
  readonly link: 1 | 2;
  readonly cutMs: number;
  readonly backMs: number;
  /** The other link was up at both portals. */
  readonly fair: boolean;
}

const cases: readonly { name: string; pace: number | null; demands: readonly Demand[] }[] = [
  {
    name: "half",
    pace: HALF_LOAD,
    demands: [
      ["gap_ms_median", "<=", 150],
      ["gap_ms_worst", "<=", 300],
      ["lost", "==", 0],
    ],
  },
  {
    name: "saturated",
    pace: null,
    // What the survivor cannot carry may wait, or be dropped before it has a link; nothing behind that is lost.
    demands: [
      ["gap_ms_worst", "<=", 300],
      ["lost_beyond_queue", "==", 0],
      ["abandoned", "==", 0],
      ["missing", "==", 0],
      ["dropped_otherwise", "==", 0],
    ],
  },
];

export const core1Failover: readonly Experiment[] = cases.map(({ name, pace, demands }) => ({
  name: `core-1-failover/${name}`,
  summary: `silent cuts of either of two links, one way or both, under ${name === "half" ? "half load" : "full load"}`,
  demands: [["tcp_survived", "==", 1], ["duplicated", "==", 0], ...demands],
  run: (context) => withLab(context, [LINK, LINK], (lab) => measure(lab, context, pace)),
}));

async function measure(lab: Lab, context: Context, pace: number | null): Promise<Figures> {
  const { leadMs, cutMs, bothMs, cuts: count } = context.brief ? TIMES.brief : TIMES.full;
  const kinds = plan(count);
  const lastMs = leadMs + kinds.length * (cutMs + bothMs + JITTER_MS);
  const seconds = Math.ceil((lastMs + TAIL_MS) / 1_000);
  const portals = await Portals.up(lab, carriage(context));
  try {
    const [direction = "up"] = context.directions ?? [];
    const before = await lossesSoFar(portals);
    const load = watchedLoad(lab, { direction, seconds, pace });
    await Promise.race([sleep(leadMs), load]);
    const cuts = await cutInTurn(lab, context, portals, kinds, load);
    const watched = await load;
    const losses = lossesBetween(before, await lossesSoFar(portals));
    return { ...figures(cuts, watched), ...lossFigures(watched, losses) };
  } finally {
    await portals.down();
  }
}

/** Each kind of cut for the first link and the second, one after the other. */
function plan(count: number): readonly Pick<Cut, "kind" | "link">[] {
  const names = Object.keys(KINDS);
  return Array.from({ length: count }, (_, index) => ({
    kind: names[index % names.length] as string,
    // Three kinds and two links: all six pairs come up.
    link: index % 2 === 0 ? 1 : 2,
  }));
}

async function cutInTurn(
  lab: Lab,
  context: Context,
  portals: Portals,
  kinds: readonly Pick<Cut, "kind" | "link">[],
  load: Promise<unknown>,
): Promise<readonly Cut[]> {
  const times = context.brief ? TIMES.brief : TIMES.full;
  const random = new SeededRandom(context.seed);
  const cuts: Cut[] = [];
  for (const { kind, link } of kinds) {
    await Promise.race([sleep(random.next() * JITTER_MS), load]);
    context.progress(`cut ${cuts.length + 1} of ${kinds.length}: link ${link}, ${kind}`);
    const fair = (await portals.linksUp()).every((up) => up === 2);
    const cutMs = monotonicMs();
    await lab.impair(link, { cut: true }, KINDS[kind]);
    await Promise.race([sleep(times.cutMs), load]);
    const backMs = monotonicMs();
    await lab.restore(link);
    cuts.push({ kind, link, cutMs, backMs, fair });
    await Promise.race([sleep(times.bothMs), load]);
  }
  return cuts;
}

function figures(cuts: readonly Cut[], load: Watched): Figures {
  const { flow, streams } = load;
  const seen = cuts.map((cut) => ({ ...cut, ...noticed(load, cut.cutMs, cut.backMs) }));
  const gaps = seen.map(({ gapMs }) => gapMs);
  const returns = cuts.map(({ backMs }) => noticed(load, backMs, backMs + WATCH_MS));
  const worst = (values: readonly number[]) => round(Math.max(...values), 0);
  const of = (wanted: (cut: Cut) => boolean) => {
    const some = seen.filter(wanted).map(({ gapMs }) => gapMs);
    return `${round(quantile(some, 0.5), 0)} (${worst(some)})`;
  };
  const last = ((cuts.at(-1)?.backMs ?? 0) - flow.startedMs) / 1_000;
  return {
    cuts: cuts.length,
    cuts_of_the_last_link: cuts.filter(({ fair }) => !fair).length,
    gap_ms_median: round(quantile(gaps, 0.5), 0),
    gap_ms_worst: worst(gaps),
    gap_ms_both: of(({ kind }) => kind === "both"),
    gap_ms_up_only: of(({ kind }) => kind === "up"),
    gap_ms_down_only: of(({ kind }) => kind === "down"),
    gap_ms_link1: of(({ link }) => link === 1),
    gap_ms_link2: of(({ link }) => link === 2),
    gaps_ms: seen.map(({ gapMs }) => round(gapMs, 0)).join(" "),
    machine_ms: seen.map(({ machineMs }) => round(machineMs, 0)).join(" "),
    return_gap_ms_worst: worst(returns.map(({ gapMs }) => gapMs)),
    delay_ms_worst: worst([...seen, ...returns].map(({ delayMs }) => delayMs)),
    lost: streams.reduce((sum, { lost }) => sum + lost, 0),
    lost_in_cuts: seen.map(({ lost }) => lost).join(" "),
    lost_in_returns: returns.map(({ lost }) => lost).join(" "),
    duplicated: streams.reduce((sum, { duplicates }) => sum + duplicates, 0),
    packets: streams.reduce((sum, { sent }) => sum + sent, 0),
    tcp_survived: flow.error === null && rateBetween(flow, last, last + 2) > 0 ? 1 : 0,
    tcp_stall_ms: round(longestStall(flow, 1) * 1_000, 0),
    tcp_mbit: round(flow.rate / 1e6, 1),
    tcp_retransmits: flow.retransmits,
    sender_control: flow.control,
    ...(flow.error === null ? {} : { tcp_error: flow.error }),
  };
}

/** What the streams lost beyond what the queues dropped, and what of all packets was lost behind the queues. */
function lossFigures({ streams }: Watched, { up, down }: LossesByWay): Figures {
  const [lostUp = 0, lostDown = 0] = streams.map(({ lost }) => lost);
  const others = [...Object.entries(up.otherwise), ...Object.entries(down.otherwise)];
  return {
    dropped_by_queue: up.queue + down.queue,
    lost_beyond_queue: Math.max(0, lostUp - up.queue) + Math.max(0, lostDown - down.queue),
    abandoned: up.abandoned + down.abandoned,
    missing: Math.max(0, up.missing) + Math.max(0, down.missing),
    dropped_otherwise: others.reduce((sum, [, count]) => sum + count, 0),
    ...(others.length === 0 ? {} : { other_reasons: others.flat().join(" ") }),
  };
}
