/**
 * What a bond is worth: the goodput of TCP through all links of a lab, against what each link alone
 * carries through the tunnel, and the queue that the tunnel makes at each link's bottleneck.
 *
 *   alone_i         portals with link i only             of_sum         = bond / sum of alone_i
 *   bond            portals with all links               gain_over_best = bond / greatest alone_i
 *   queue           ping beside the tunnel over link i, 95th percentile under load less idle
 *
 * Ratios compare the same load (flows, sender, direction) in the same run of the same lab.
 */
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { type LinkOptions, parseLink } from "../link-options.ts";
import { type Carried, carry, type Load, loadName, loadsOf } from "../load/goodput.ts";
import type { FlowDirection } from "../load/iperf.ts";
import { idleDelays } from "../load/queue.ts";
import { Portals } from "../portals.ts";
import { type Demand, type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";

/** Below this rate a few packets are more than the milliseconds that are demanded. */
const QUEUE_RATE_MIN = 10e6;

const FLOWS = [1, 16];

export interface BondCase {
  readonly name: string;
  readonly summary: string;
  /** One text a link, as `lab up --link` takes it. */
  readonly links: readonly string[];
  readonly demands: readonly Demand[];
  /** Wanted of `queue_ms_p95`, for runs that load a link in a direction in which its rate is large enough. */
  readonly queueMsMax?: number;
  /** Numbers of parallel flows in the full form; default 1 and 16. */
  readonly flows?: readonly number[];
  /** Seconds that every flow gets in addition before it counts: long round trips, deep queues. */
  readonly settleSeconds?: number;
  /** Fewer links of the same lab to compare with, and the name of the figure. */
  readonly part?: { readonly name: string; readonly links: readonly number[] };
}

export function bondExperiment(one: BondCase): Experiment {
  return {
    name: one.name,
    summary: one.summary,
    demands: one.demands,
    demandsOf: (context) => queueDemand(context, one),
    run: (context) => withLab(context, one.links, (lab) => measure(lab, context, one)),
  };
}

function queueDemand(context: Context, one: BondCase): readonly Demand[] {
  if (one.queueMsMax === undefined) return [];
  const links = one.links.map(parseLink);
  const loads = loadsOf(context, one.flows ?? FLOWS);
  const isAsked = loads.some(({ direction }) => links.some((link) => hasQueue(link, direction)));
  return isAsked ? [["queue_ms_p95", "<=", one.queueMsMax]] : [];
}

/** Whether the link is fast enough for its queue to count. */
function hasQueue(link: LinkOptions, direction: FlowDirection): boolean {
  return (link[direction].rate ?? 0) > QUEUE_RATE_MIN;
}

type Goodputs = ReadonlyMap<Load, Carried>;

interface Measured {
  /** By link, from 1. */
  readonly alone: readonly Goodputs[];
  readonly part: Goodputs | null;
  readonly bond: Goodputs;
}

async function measure(lab: Lab, context: Context, one: BondCase): Promise<Figures> {
  const loads = loadsOf(context, one.flows ?? FLOWS);
  const all = lab.links.map((_, index) => index + 1);
  const through = (links: readonly number[]) => carryAll(lab, context, one, loads, links);
  const alone: Goodputs[] = [];
  for (const link of all) alone.push(await through([link]));
  const part = one.part === undefined ? null : await through(one.part.links);
  const measured: Measured = { alone, part, bond: await through(all) };
  return {
    links: one.links.join(" | "),
    ...summary(lab, loads, measured, one.part?.name ?? "part"),
    ...Object.assign({}, ...loads.map((load) => details(load, measured))),
  };
}

/** Every load, one after the other, through the same portals. */
async function carryAll(
  lab: Lab,
  context: Context,
  one: BondCase,
  loads: readonly Load[],
  links: readonly number[],
): Promise<Goodputs> {
  const portals = await Portals.up(lab, { ...carriage(context), links });
  const idle = await idleDelays(lab, links);
  const goodputs = new Map<Load, Carried>();
  for (const load of loads) {
    context.progress(`through link ${links.join(" and ")}: ${loadName(load)}`);
    const settle = one.settleSeconds ?? 0;
    goodputs.set(load, await carry(lab, load, { brief: context.brief, settle, links, idle }));
  }
  await portals.down();
  return goodputs;
}

/** The worst of all loads. */
function summary(
  lab: Lab,
  loads: readonly Load[],
  measured: Measured,
  partName: string,
): Record<string, number | null> {
  const worst = (of: (load: Load) => number) => round(Math.min(...loads.map(of)));
  return {
    of_sum: worst((load) => ofSum(load, measured)),
    gain_over_best: worst((load) => overBest(load, measured)),
    ...(measured.part === null
      ? {}
      : { [`gain_over_${partName}`]: worst((load) => overPart(load, measured)) }),
    queue_ms_p95: worstQueue(lab, loads, measured.bond),
  };
}

/** Of all links whose rate is large enough, and all loads; null when nothing came back. */
function worstQueue(lab: Lab, loads: readonly Load[], bond: Goodputs): number | null {
  const queues = loads.flatMap((load) => {
    const { queueMs } = bond.get(load) ?? NOTHING;
    return lab.links.flatMap((link, index) =>
      hasQueue(link, load.direction) ? [queueMs[index] ?? null] : [],
    );
  });
  const known = queues.filter((queue) => queue !== null);
  return known.length === 0 ? null : Math.max(...known);
}

const NOTHING: Carried = { rate: 0, queueMs: [], error: null };

const rateOf = (goodputs: Goodputs | null, load: Load) => goodputs?.get(load)?.rate ?? 0;

function ofSum(load: Load, { alone, bond }: Measured): number {
  return rateOf(bond, load) / alone.reduce((sum, one) => sum + rateOf(one, load), 0);
}

function overBest(load: Load, { alone, bond }: Measured): number {
  return rateOf(bond, load) / Math.max(...alone.map((one) => rateOf(one, load)));
}

function overPart(load: Load, { part, bond }: Measured): number {
  return rateOf(bond, load) / rateOf(part, load);
}

function details(load: Load, measured: Measured): Figures {
  const name = loadName(load);
  const figures: Record<string, number | string | null> = {
    [`${name}_mbit`]: mbit(rateOf(measured.bond, load)),
    [`${name}_of_sum`]: round(ofSum(load, measured)),
    [`${name}_gain_over_best`]: round(overBest(load, measured)),
  };
  measured.alone.forEach((one, index) => {
    figures[`${name}_link${index + 1}_mbit`] = mbit(rateOf(one, load));
    figures[`${name}_link${index + 1}_alone_queue_ms_p95`] = one.get(load)?.queueMs[0] ?? null;
    const { queueMs } = measured.bond.get(load) ?? NOTHING;
    figures[`${name}_link${index + 1}_queue_ms_p95`] = queueMs[index] ?? null;
  });
  const errors = [...measured.alone, measured.bond].map((one) => one.get(load)?.error ?? null);
  errors.forEach((error, index) => {
    if (error !== null) figures[`${name}_error_${index + 1}`] = error;
  });
  return figures;
}

const mbit = (rate: number) => round(rate / 1e6, 2);
