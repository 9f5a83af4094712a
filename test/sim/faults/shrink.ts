/** Makes a schedule that fails smaller: faults are left out one at a time as long as it goes on failing. */
import type { Schedule } from "./schedule.ts";

/** Schedules played at the most. */
const TRIALS_MAX = 60;

/** @param fails - plays a schedule, and says whether it still fails */
export function shrink(schedule: Schedule, fails: (schedule: Schedule) => boolean): Schedule {
  let smallest = schedule;
  let trials = 0;
  for (let index = schedule.faults.length - 1; index >= 0 && trials < TRIALS_MAX; index -= 1) {
    const faults = smallest.faults.filter((_, at) => at !== index);
    const candidate = { ...smallest, faults };
    trials += 1;
    if (fails(candidate)) smallest = candidate;
  }
  return smallest;
}
