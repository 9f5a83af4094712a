/** What an experiment is, and what every experiment needs around it: a lab that always goes away. */
import { type LinkOptions, parseLink } from "./link-options.ts";
import type { Sender } from "./load/congestion.ts";
import type { FlowDirection } from "./load/iperf.ts";
import type { PortalOptions, TransportChoice } from "./portal-files.ts";
import type { Demand, Figures } from "./result.ts";
import { Lab } from "./topology/lab.ts";
import type { Family } from "./topology/names.ts";

export interface Context {
  readonly transport: TransportChoice;
  /** Outer family, where an experiment leaves the choice. */
  readonly family: Family;
  /** The links' congestion control as `--controller` names it; null: the portals' default. */
  readonly controller: string | null;
  /** Shorter and smaller, for the test run. */
  readonly brief: boolean;
  /** Seed of the emulators; a repetition has another. */
  readonly seed: number;
  /** Octets of a transfer, where an experiment makes one. */
  readonly bytes: number | null;
  /** What is measured by the experiments that have a choice; null: as the experiment does by itself. */
  readonly directions: readonly FlowDirection[] | null;
  readonly senders: readonly Sender[] | null;
  /** Numbers of parallel flows. */
  readonly flows: readonly number[] | null;
  /** One line about what is going on. */
  readonly progress: (text: string) => void;
  /** Every lab that stands, so that Ctrl-C can remove it. */
  readonly labs: Set<Lab>;
}

/** What a test run gives to an experiment; one direction, where there is a choice. */
export function briefContext(transport: TransportChoice): Context {
  return {
    ...{ transport, family: 4, controller: null, brief: true, seed: 1, bytes: null },
    ...{ directions: ["down"] as const, senders: null, flows: null },
    ...{ progress: () => {}, labs: new Set<Lab>() },
  };
}

/** How the portals of this run carry packets. */
export function carriage({ transport, family, controller }: Context): PortalOptions {
  return { transport, family, controller };
}

export interface Experiment {
  /** A name with a slash is one of a group: `run profiles` runs `profiles/satellite` and the others. */
  readonly name: string;
  /** One line for `list`. */
  readonly summary: string;
  readonly demands: readonly Demand[];
  /** Further ones, where the choice of what is measured decides what can be asked. */
  demandsOf?(context: Context): readonly Demand[];
  /** What it compares or needs, whatever the command line says; its name in results is then alone. */
  readonly transport?: TransportChoice;
  run(context: Context): Promise<Figures>;
}

/** Builds a lab, uses it, and removes it whatever happens. */
export async function withLab<T>(
  context: Context,
  links: readonly string[],
  use: (lab: Lab) => Promise<T>,
): Promise<T> {
  context.progress(`building ${links.length} links: ${links.join(" | ")}`);
  const options: LinkOptions[] = links.map(parseLink);
  const lab = await Lab.up({ links: options, seed: context.seed, standing: context.labs });
  try {
    return await use(lab);
  } finally {
    await lab.down();
  }
}
