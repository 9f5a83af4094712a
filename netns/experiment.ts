/** What an experiment is, and what every experiment needs around it: a lab that always goes away. */
import type { Transport } from "../src/portal/config.ts";
import { type LinkOptions, parseLink } from "./link-options.ts";
import type { Demand, Figures } from "./result.ts";
import { Lab } from "./topology/lab.ts";

export interface Context {
  readonly transport: Transport;
  /** Shorter and smaller, for the test run. */
  readonly brief: boolean;
  /** Seed of the emulators; a repetition has another. */
  readonly seed: number;
  /** Octets of a transfer, where an experiment makes one. */
  readonly bytes: number | null;
  /** One line about what is going on. */
  readonly progress: (text: string) => void;
  /** Every lab that stands, so that Ctrl-C can remove it. */
  readonly labs: Set<Lab>;
}

export interface Experiment {
  readonly name: string;
  /** One line for `list`. */
  readonly summary: string;
  readonly demands: readonly Demand[];
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
