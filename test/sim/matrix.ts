/** Runs cells over seeds in two processes' worth of threads and holds the values against their targets. */
import type { Cell, Check, Values } from "./cell.ts";
import { runJobs } from "./pool.ts";
import type { Job, Outcome } from "./worker.ts";

/** One metric of one cell over all seeds. */
export interface Row {
  readonly cell: string;
  readonly row: string;
  readonly metric: string;
  readonly target: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** By the median; undefined: nothing is wanted. */
  readonly pass: boolean | undefined;
  /** In the order of the seeds, 1 first. */
  readonly values: readonly number[];
}

export interface MatrixOptions {
  readonly seeds: number;
  readonly controller?: string;
  /** Called for each cell as it is done. */
  readonly onCell?: (done: number, all: number, wallMs: number, cell: Cell) => void;
}

export async function runMatrix(cells: readonly Cell[], options: MatrixOptions): Promise<Row[]> {
  // Seed by seed: cells of one seed have measurements in common.
  const seeds = Array.from({ length: options.seeds }, (_, index) => index + 1);
  const jobs: Job[] = seeds.flatMap((seed) =>
    cells.map(({ name }) => ({ cell: name, seed, controller: options.controller })),
  );
  const results = new Map<string, Values[]>();
  let done = 0;
  const script = new URL("./worker.js", import.meta.url);
  await runJobs<Job, Outcome>(script, jobs, ({ job, values, wallMs }) => {
    const list = results.get(job.cell) ?? [];
    list[job.seed - 1] = values;
    results.set(job.cell, list);
    const cell = cells.find(({ name }) => name === job.cell);
    done += 1;
    if (cell !== undefined) options.onCell?.(done, jobs.length, wallMs, cell);
  });
  return cells.flatMap((cell) =>
    cell.checks.map((check) => rowOf(cell, check, results.get(cell.name) ?? [])),
  );
}

function rowOf(cell: Cell, check: Check, all: readonly Values[]): Row {
  const values = all.map((one) => one[check.metric] ?? Number.NaN);
  const sorted = values.toSorted((x, y) => x - y);
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  const { atLeast, atMost } = check;
  const wanted = atLeast !== undefined || atMost !== undefined;
  return {
    cell: cell.name,
    row: cell.row,
    metric: check.metric,
    target: targetText(check),
    median,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    pass: wanted ? meets(median, check) : undefined,
    values,
  };
}

/** The value lies within what is wanted. */
export function meets(value: number, { atLeast, atMost }: Check): boolean {
  return (
    value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Number.POSITIVE_INFINITY)
  );
}

function targetText({ atLeast, atMost }: Check): string {
  const parts = [];
  if (atLeast !== undefined) parts.push(`>= ${atLeast}`);
  if (atMost !== undefined) parts.push(`<= ${Number(atMost.toPrecision(4))}`);
  return parts.join(", ") || "-";
}
