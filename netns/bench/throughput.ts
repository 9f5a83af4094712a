/**
 * How much one TCP flow gets through one unshaped link, and what it costs: no tunnel, raw, UDP and TCP in
 * turn, both directions, round after round, so that a machine whose speed drifts slows them alike.
 * Figures are medians over rounds; the ratio to no tunnel is taken within each round.
 */
import { MpfwdError } from "../../src/core/errors.ts";
import type { Transport } from "../../src/core/transport.ts";
import { parseLink } from "../link-options.ts";
import { type FlowDirection, iperf } from "../load/iperf.ts";
import { cpuSeconds } from "../load/usage.ts";
import { Portals } from "../portals.ts";
import { Lab } from "../topology/lab.ts";

export type Carrier = "none" | Transport;
/** Whose portals: of this tree, or of the one it is compared with. */
export type Tree = "this" | "other";

export interface ThroughputOptions {
  readonly seconds: number;
  /** Load each way before portals are measured, seconds: JavaScript is compiled while it runs. */
  readonly warmUpSeconds: number;
  readonly rounds: number;
  /** Link devices pass 64 KiB segmentation packets whole, as no wire does. */
  readonly superPackets: boolean;
  /** TCP payload of a segment; null: as the MTU allows. */
  readonly mss: number | null;
  readonly carriers: readonly Carrier[];
  readonly directions: readonly FlowDirection[];
  /** The `main.js` of another built tree, whose portals take turns with ours; null: none. */
  readonly against: string | null;
  /** Our portals install their guard; those of another tree do as they are used to. */
  readonly guard: boolean;
  readonly progress: (text: string) => void;
}

/** Median, lowest, highest. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface ThroughputRow {
  readonly carrier: Carrier;
  readonly tree: Tree;
  readonly direction: FlowDirection;
  readonly superPackets: boolean;
  readonly mss: number | null;
  readonly control: string;
  readonly gbitPerSecond: Spread;
  /** Of the same round without a tunnel; null for that itself. */
  readonly ratio: Spread | null;
  /** Of the other tree's in the same round; null where there is none. */
  readonly ofOther: Spread | null;
  /** Process CPU seconds, user and system, a gigabyte of goodput; null without a tunnel. */
  readonly localCpuPerGb: Spread | null;
  readonly remoteCpuPerGb: Spread | null;
  /** Inner packets a second in the direction of the flow; null without a tunnel. */
  readonly packetsPerSecond: Spread | null;
}

interface Sample {
  readonly carrier: Carrier;
  readonly tree: Tree;
  readonly direction: FlowDirection;
  readonly rate: number;
  readonly control: string;
  readonly localCpu: number;
  readonly remoteCpu: number;
  readonly packets: number;
}

export async function measureThroughput(options: ThroughputOptions): Promise<ThroughputRow[]> {
  const lab = await Lab.up({ links: [parseLink("")], superPackets: options.superPackets });
  const rounds: Sample[][] = [];
  try {
    for (let round = 0; round < options.rounds; round += 1) {
      const samples: Sample[] = [];
      for (const [carrier, tree] of turns(options, round)) {
        samples.push(...(await measureCarrier(lab, carrier, tree, round, options)));
      }
      rounds.push(samples);
    }
  } finally {
    await lab.down();
  }
  return turns(options, 0).flatMap(([carrier, tree]) =>
    options.directions.map((direction) => row(rounds, carrier, tree, direction, options)),
  );
}

/** What is measured in a round, in order; trees take turns in who is first. */
function turns(options: ThroughputOptions, round: number): [Carrier, Tree][] {
  return options.carriers.flatMap((carrier): [Carrier, Tree][] => {
    if (carrier === "none" || options.against === null) return [[carrier, "this"]];
    const both: [Carrier, Tree][] = [
      [carrier, "this"],
      [carrier, "other"],
    ];
    return round % 2 === 0 ? both : both.reverse();
  });
}

async function measureCarrier(
  lab: Lab,
  carrier: Carrier,
  tree: Tree,
  round: number,
  options: ThroughputOptions,
): Promise<Sample[]> {
  const cli = tree === "other" && options.against !== null ? { cli: options.against } : {};
  const guard = tree === "other" || options.guard ? {} : { tunnel: ["guard = false"] };
  const portals =
    carrier === "none" ? null : await Portals.up(lab, { transport: carrier, ...cli, ...guard });
  await lab.direct(carrier === "none" ? 1 : null);
  try {
    const samples: Sample[] = [];
    if (portals !== null && options.warmUpSeconds > 0) await warmUp(lab, options);
    for (const direction of options.directions) {
      const what = `${carrier}${tree === "other" ? " of the other tree" : ""}, ${direction}`;
      options.progress(`round ${round + 1} of ${options.rounds}: ${what}`);
      const flow = await measureFlow(lab, portals, carrier, direction, options);
      samples.push({ ...flow, tree });
    }
    return samples;
  } finally {
    await portals?.down();
    await lab.direct(null);
  }
}

async function warmUp(lab: Lab, options: ThroughputOptions): Promise<void> {
  for (const direction of options.directions) {
    await iperf(lab, { direction, seconds: options.warmUpSeconds, omitSeconds: 0 });
  }
}

async function measureFlow(
  lab: Lab,
  portals: Portals | null,
  carrier: Carrier,
  direction: FlowDirection,
  options: ThroughputOptions,
): Promise<Omit<Sample, "tree">> {
  const { seconds, mss } = options;
  const before = await usage(portals, direction);
  const flow = await iperf(lab, {
    ...{ direction, seconds, omitSeconds: 0 },
    ...(mss === null ? {} : { mss }),
  });
  if (flow.error !== null || flow.rate === 0) {
    throw new MpfwdError(
      "ERR_LINK",
      `${carrier}, ${direction}: ${flow.error ?? "nothing arrived"}`,
    );
  }
  const after = await usage(portals, direction);
  const gigabytes = (flow.rate * seconds) / 8e9;
  return {
    ...{ carrier, direction, rate: flow.rate, control: flow.control },
    localCpu: (after.local - before.local) / gigabytes,
    remoteCpu: (after.remote - before.remote) / gigabytes,
    packets: (after.packets - before.packets) / seconds,
  };
}

interface Usage {
  /** CPU seconds since the process began. */
  readonly local: number;
  readonly remote: number;
  readonly packets: number;
}

async function usage(portals: Portals | null, direction: FlowDirection): Promise<Usage> {
  if (portals === null) return { local: 0, remote: 0, packets: 0 };
  const { packetsOut } = await portals.status(direction === "up" ? "local" : "remote");
  return {
    local: cpuSeconds(portals.pid("local")),
    remote: cpuSeconds(portals.pid("remote")),
    packets: packetsOut,
  };
}

function row(
  rounds: readonly Sample[][],
  carrier: Carrier,
  tree: Tree,
  direction: FlowDirection,
  options: ThroughputOptions,
): ThroughputRow {
  const pick = (samples: readonly Sample[], which: Carrier, whose: Tree) =>
    samples.find(
      (one) => one.carrier === which && one.tree === whose && one.direction === direction,
    );
  const ratiosTo = (which: Carrier, whose: Tree) =>
    rounds.flatMap((samples) => {
      const [mine, base] = [pick(samples, carrier, tree), pick(samples, which, whose)];
      return mine === undefined || base === undefined ? [] : [mine.rate / base.rate];
    });
  const own = rounds.flatMap((samples) => pick(samples, carrier, tree) ?? []);
  const ratios = ratiosTo("none", "this");
  const tunnel = carrier !== "none";
  const compared = tunnel && tree === "this" && options.against !== null;
  return {
    ...{ carrier, tree, direction, superPackets: options.superPackets, mss: options.mss },
    ofOther: compared ? spread(ratiosTo(carrier, "other")) : null,
    control: own[0]?.control ?? "unknown",
    gbitPerSecond: spread(own.map(({ rate }) => rate / 1e9)),
    ratio: tunnel && ratios.length > 0 ? spread(ratios) : null,
    localCpuPerGb: tunnel ? spread(own.map(({ localCpu }) => localCpu)) : null,
    remoteCpuPerGb: tunnel ? spread(own.map(({ remoteCpu }) => remoteCpu)) : null,
    packetsPerSecond: tunnel ? spread(own.map(({ packets }) => packets)) : null,
  };
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = 0, high = 0] = [
    sorted[sorted.length % 2 === 0 ? middle - 1 : middle],
    sorted[middle],
  ];
  return { median: (low + high) / 2, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
}
