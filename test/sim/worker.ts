/** A thread that plays one cell after another with one seed each. */
import { parentPort } from "node:worker_threads";
import { Stage, type Values } from "./cell.ts";
import { cellNamed } from "./cells/all.ts";

export interface Job {
  readonly cell: string;
  readonly seed: number;
  readonly controller: string | undefined;
}

export interface Outcome {
  readonly job: Job;
  readonly values: Values;
  readonly wallMs: number;
}

parentPort?.on("message", (job: Job) => {
  const startMs = performance.now();
  const stage = new Stage(job);
  const cell = cellNamed(job.cell);
  if (cell === undefined) throw new Error(`there is no cell ${job.cell}`);
  let values: Values;
  try {
    values = cell.measure(stage);
  } catch (cause) {
    throw new Error(`cell ${job.cell}, seed ${job.seed}`, { cause });
  }
  const outcome: Outcome = { job, values, wallMs: performance.now() - startMs };
  parentPort?.postMessage(outcome);
});
