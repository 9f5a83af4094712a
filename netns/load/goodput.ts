/** One TCP load from end to end of a lab: what the receiver got, and the queues it made on the way. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../experiment.ts";
import type { Lab } from "../topology/lab.ts";
import type { Sender } from "./congestion.ts";
import { type FlowDirection, iperf } from "./iperf.ts";
import { type Delays, linkDelays, queueMs } from "./queue.ts";

export interface Load {
  readonly flows: number;
  readonly sender: Sender;
  readonly direction: FlowDirection;
}

export interface Carried {
  /** What the receiver got, bits per second, all flows together. */
  readonly rate: number;
  /** Milliseconds added to each link's round trip, 95th percentile, as `CarryOptions.links`; null: unknown. */
  readonly queueMs: readonly (number | null)[];
  /** Why a flow broke off. */
  readonly error: string | null;
}

export interface CarryOptions {
  readonly brief: boolean;
  /** Seconds before it counts, beyond the usual ones. */
  readonly settle: number;
  /** The links in use. */
  readonly links: readonly number[];
  /** Their delays without load. */
  readonly idle: readonly Delays[];
}

/** Cubic needs its seconds after the first loss; many flows share the work. */
const SECONDS = {
  one: { omit: 4, count: 12 },
  many: { omit: 3, count: 6 },
  brief: { omit: 2, count: 4 },
} as const;

/** Every load of a run: what was chosen on the command line, or else `all` numbers of cubic flows both ways; the first of them in brief. */
export function loadsOf(context: Context, all: readonly number[]): Load[] {
  const counts = context.flows ?? (context.brief ? all.slice(0, 1) : all);
  const senders = context.senders ?? ["cubic"];
  const directions = context.directions ?? ["down", "up"];
  return counts.flatMap((count) =>
    senders.flatMap((sender) =>
      directions.map((direction) => ({ flows: count, sender, direction })),
    ),
  );
}

/** `cubic16_down` */
export function loadName({ sender, flows, direction }: Load): string {
  return `${sender}${flows}_${direction}`;
}

export async function carry(lab: Lab, load: Load, options: CarryOptions): Promise<Carried> {
  const length = options.brief ? SECONDS.brief : load.flows === 1 ? SECONDS.one : SECONDS.many;
  const omitSeconds = length.omit + options.settle;
  const watch = async () => {
    await sleep(omitSeconds * 1_000);
    return linkDelays(lab, options.links, length.count);
  };
  const [flow, delays] = await Promise.all([
    iperf(lab, { ...load, seconds: length.count, omitSeconds }),
    watch(),
  ]);
  const queues = delays.map((loaded, index) => queueMs(loaded, options.idle[index] ?? []));
  return { rate: flow.rate, queueMs: queues, error: flow.error };
}
