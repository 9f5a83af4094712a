/** A thread that plays one random schedule after another, and makes smaller what fails. */
import { parentPort } from "node:worker_threads";
import { randomSchedule, SCALES, type Schedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import { playSchedule, type Trial } from "./trial.ts";

export interface TrialJob {
  readonly seed: number;
  readonly scale: keyof typeof SCALES;
}

export interface TrialOutcome {
  readonly schedule: Schedule;
  readonly trial: Trial;
  /** Of a schedule that failed: with no fault that it does not need to fail, and how it fails then. */
  readonly smallest?: { readonly schedule: Schedule; readonly trial: Trial };
  readonly cpuMs: number;
}

parentPort?.on("message", ({ seed, scale }: TrialJob) => {
  const schedule = randomSchedule(seed, SCALES[scale]);
  const startMs = performance.now();
  const trial = playSchedule(schedule);
  const outcome = { schedule, trial, cpuMs: performance.now() - startMs };
  parentPort?.postMessage(
    trial.wrong.length === 0 ? outcome : { ...outcome, ...reduced(schedule) },
  );
});

function reduced(schedule: Schedule): Pick<TrialOutcome, "smallest"> {
  const smaller = shrink(schedule, (candidate) => playSchedule(candidate).wrong.length > 0);
  return { smallest: { schedule: smaller, trial: playSchedule(smaller) } };
}
