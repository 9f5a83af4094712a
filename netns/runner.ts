/**
 * Runs experiments one after the other and prints what they found. Ctrl-C and SIGTERM remove every
 * lab before the process ends. Progress goes to standard error, results to standard output.
 */
import { MpfwdError } from "../src/core/errors.ts";
import type { Context, Experiment } from "./experiment.ts";
import { EXPERIMENTS } from "./experiments/experiments.ts";
import type { Sender } from "./load/congestion.ts";
import type { FlowDirection } from "./load/iperf.ts";
import type { TransportChoice } from "./portal-files.ts";
import { judge, type Result, resultText } from "./result.ts";
import { removeOnSignal } from "./signals.ts";
import type { Lab } from "./topology/lab.ts";
import type { Family } from "./topology/names.ts";

export interface RunOptions {
  readonly transports: readonly TransportChoice[];
  readonly family?: Family;
  readonly json: boolean;
  readonly repeat: number;
  readonly brief: boolean;
  readonly bytes?: number;
  readonly controller?: string;
  readonly directions?: readonly FlowDirection[];
  readonly senders?: readonly Sender[];
  readonly flows?: readonly number[];
}

/** @returns whether every run passed. @throws MpfwdError ERR_USAGE for an unknown name */
export async function runExperiments(
  names: readonly string[],
  options: RunOptions,
): Promise<boolean> {
  const experiments = names.flatMap(findExperiments);
  const labs = new Set<Lab>();
  let ended = false;
  const stopListening = removeOnSignal(labs, () => {
    ended = true;
  });
  let passed = true;
  for (const experiment of experiments) {
    const { transport: own } = experiment;
    for (const transport of own === undefined ? options.transports : [own]) {
      for (let round = 1; round <= options.repeat; round += 1) {
        const result = await runOne(experiment, transport, round, options, labs);
        if (ended) return false;
        console.log(options.json ? JSON.stringify(result) : `${resultText(result)}\n`);
        passed &&= result.pass;
      }
    }
  }
  stopListening();
  return passed;
}

/** One run; one that breaks off fails with its `error`. The transport is part of the name in the result. */
async function runOne(
  experiment: Experiment,
  transport: TransportChoice,
  seed: number,
  options: RunOptions,
  labs: Set<Lab>,
): Promise<Result> {
  const { name: own, transport: fixed } = experiment;
  const name = fixed === undefined ? `${own}/${transport}` : own;
  const times = options.repeat > 1 ? ` ${seed}/${options.repeat}` : "";
  const context: Context = {
    transport,
    family: options.family ?? 4,
    brief: options.brief,
    seed,
    bytes: options.bytes ?? null,
    controller: options.controller ?? null,
    directions: options.directions ?? null,
    senders: options.senders ?? null,
    flows: options.flows ?? null,
    progress: (text) => progress(`${name}${times}: ${text}`),
    labs,
  };
  const demands = [...experiment.demands, ...(experiment.demandsOf?.(context) ?? [])];
  try {
    return judge(name, await experiment.run(context), demands);
  } catch (error) {
    // The others of a long run are worth having all the same.
    if (!(error instanceof MpfwdError)) throw error;
    return judge(name, { error: error.message }, demands);
  } finally {
    progress("");
  }
}

/** The experiment of this name, or all of the group. @throws MpfwdError ERR_USAGE when there is none */
export function findExperiments(name: string): readonly Experiment[] {
  const found = EXPERIMENTS.filter((one) => one.name === name || one.name.startsWith(`${name}/`));
  if (found.length > 0) return found;
  const known = [...new Set(EXPERIMENTS.map((one) => one.name.split("/")[0]))].join(", ");
  throw new MpfwdError("ERR_USAGE", `there is no experiment ${name}; there are: ${known}`);
}

/** One line that is written over on a terminal, lines elsewhere. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
  else if (text !== "") process.stderr.write(`${text}\n`);
}
