/** The command `npm run sim -- faults`: random schedules of faults, and what they show. */
import { runJobs } from "../pool.ts";
import type { SCALES } from "./schedule.ts";
import { scheduleLines } from "./schedule.ts";
import type { Values } from "./trial.ts";
import type { TrialJob, TrialOutcome } from "./worker.ts";

export interface FaultsOptions {
  /** The first seed, and how many from it on. */
  readonly seed: number;
  readonly schedules: number;
  readonly scale: keyof typeof SCALES;
  /** Called for each schedule as it is done. */
  readonly onDone?: (done: number) => void;
}

/** Plays the schedules of these seeds; in the order of the seeds. Everything is a matter of the seed. */
export async function playSeeds(options: FaultsOptions): Promise<TrialOutcome[]> {
  const jobs: TrialJob[] = Array.from({ length: options.schedules }, (_, index) => ({
    seed: options.seed + index,
    scale: options.scale,
  }));
  const outcomes: TrialOutcome[] = [];
  const script = new URL("./worker.js", import.meta.url);
  await runJobs<TrialJob, TrialOutcome>(script, jobs, (outcome) => {
    outcomes[outcome.schedule.seed - options.seed] = outcome;
    options.onDone?.(outcomes.length);
  });
  return outcomes;
}

/** What is wrong, and with the fewest faults that show it. */
export function failureLines({ schedule, trial, smallest }: TrialOutcome): string[] {
  const least = smallest ?? { schedule, trial };
  return [
    ...scheduleLines(schedule),
    ...trial.wrong.map((what) => `  wrong: ${what}`),
    `with ${least.schedule.faults.length} of its ${schedule.faults.length} faults:`,
    ...scheduleLines(least.schedule).slice(1),
    ...least.trial.wrong.map((what) => `  wrong: ${what}`),
  ];
}

const COLUMNS: readonly (keyof Values)[] = [
  "entered",
  "lost",
  "lostWithoutReason",
  "abandoned",
  "resent",
  "overtaken",
  "goodputShare",
  "delayMaxMs",
  "queuePackets",
  "repairPackets",
  "heldPackets",
  "wakesASecond",
  "renewals",
];

/** A line for each value: its least, its median and its most over all schedules. */
export function tableLines(outcomes: readonly TrialOutcome[]): string[] {
  const row = (name: string, ...values: readonly (string | number)[]) =>
    name.padEnd(20) + values.map((value) => String(value).padStart(10)).join("");
  return [
    row("", "least", "median", "most"),
    ...COLUMNS.map((name) => {
      const sorted = outcomes.map(({ trial }) => trial.values[name]).sort((one, two) => one - two);
      const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
      return row(name, ...[0, 0.5, 1].map((share) => Number(at(share).toPrecision(4))));
    }),
  ];
}
