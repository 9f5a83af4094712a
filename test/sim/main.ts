/** The command `npm run sim`: lists cells, plays one, plays the matrix. */
import { writeFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { SECOND } from "../../src/core/time.ts";
import { type Cell, Stage } from "./cell.ts";
import { CELLS, cellNamed } from "./cells/all.ts";
import { controllerNamed, NAMES } from "./controllers.ts";
import { failureLines, playSeeds, tableLines } from "./faults/command.ts";
import { meets, type Row, runMatrix } from "./matrix.ts";
import { plot } from "./plot.ts";

const SEEDS = 5;

/** What is so wherever it is checked: the table shows only where it is not. */
const SILENT: ReadonlySet<string> = new Set(["duplicates", "reordered"]);

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("a number above 0");
  return value;
}

function known(name: string): string {
  if (controllerNamed(name) !== undefined) return name;
  throw new InvalidArgumentError(`there are ${NAMES.join(", ")} and fixed:50mbit`);
}

const controllerOption = () =>
  new Option(
    "--controller <name>",
    `congestion controller of all links: ${NAMES.join(", ")}, or fixed with a rate, fixed:50mbit`,
  ).argParser(known);

interface RunOptions {
  readonly seed: number;
  readonly controller?: string;
  readonly plot?: string;
  readonly json?: boolean;
}

function existing(name: string): Cell {
  const cell = cellNamed(name);
  if (cell === undefined) throw new InvalidArgumentError(`no cell is called ${name}; see "list"`);
  return cell;
}

function cellsMatching(regex: string): readonly Cell[] {
  let only: RegExp;
  try {
    only = new RegExp(regex);
  } catch {
    throw new InvalidArgumentError("not a regular expression");
  }
  const cells = CELLS.filter(({ name, row }) => only.test(name) || only.test(row));
  if (cells.length === 0) throw new InvalidArgumentError(`no cell and no row matches; see "list"`);
  return cells;
}

function run(cell: Cell, options: RunOptions): void {
  const { seed, controller } = options;
  const stage = new Stage({ seed, controller, record: options.plot !== undefined });
  const startMs = performance.now();
  const values = cell.measure(stage);
  const wallS = (performance.now() - startMs) / 1000;
  if (options.plot !== undefined && stage.first !== undefined) {
    const title = `${cell.name}, seed ${seed}, ${options.controller ?? "default controller"}`;
    writeFileSync(options.plot, plot(stage.first, title));
  }
  if (options.json === true) {
    print(JSON.stringify({ cell: cell.name, seed, values, hash: stage.hash, wallS }, null, 2));
    return;
  }
  for (const [metric, value] of Object.entries(values)) {
    const check = cell.checks.find((one) => one.metric === metric);
    const wanted = check?.atLeast !== undefined || check?.atMost !== undefined;
    const verdict = check === undefined || !wanted ? "" : meets(value, check) ? "ok" : "MISSED";
    print(`${metric.padEnd(18)} ${figure(value).padStart(10)}  ${verdict}`);
  }
  const virtualS = (stage.first?.nowUs ?? 0) / SECOND;
  print(`trace hash ${stage.hash}, first world ${virtualS} s, in ${wallS.toFixed(2)} s`);
}

interface MatrixCommandOptions {
  readonly seeds: number;
  readonly only?: readonly Cell[];
  readonly controller?: string;
  readonly json?: boolean;
  readonly strict?: boolean;
}

async function matrix(options: MatrixCommandOptions): Promise<void> {
  const cells = options.only ?? CELLS;
  const startMs = performance.now();
  const rows = await runMatrix(cells, {
    seeds: options.seeds,
    ...(options.controller === undefined ? {} : { controller: options.controller }),
    onCell: (done, all) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${all} `);
    },
  });
  const missed = rows.filter(({ pass }) => pass === false);
  const wallS = (performance.now() - startMs) / 1000;
  if (options.json === true) {
    const controller = options.controller ?? "default";
    print(JSON.stringify({ seeds: options.seeds, controller, wallS, rows }, null, 2));
  } else {
    printTable(rows);
    const wanted = rows.filter(({ pass }) => pass !== undefined).length;
    print(`\n${wanted - missed.length} of ${wanted} targets met over seeds 1 to ${options.seeds}`);
    print(`${cells.length} cells in ${wallS.toFixed(0)} s`);
  }
  if (options.strict === true && missed.length > 0) process.exitCode = 1;
}

interface FaultsCommandOptions {
  readonly seed: number;
  readonly schedules: number;
  readonly brief?: boolean;
  readonly json?: boolean;
}

async function faults(options: FaultsCommandOptions): Promise<void> {
  const { seed, schedules } = options;
  const startMs = performance.now();
  const outcomes = await playSeeds({
    ...{ seed, schedules, scale: options.brief === true ? "brief" : "full" },
    onDone: (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${schedules} `);
    },
  });
  const wallS = (performance.now() - startMs) / 1000;
  const failed = outcomes.filter(({ trial }) => trial.wrong.length > 0);
  if (options.json === true) print(JSON.stringify({ seed, schedules, wallS, outcomes }, null, 2));
  else {
    for (const outcome of failed) print(`${failureLines(outcome).join("\n")}\n`);
    for (const line of tableLines(outcomes)) print(line);
    const held = `${schedules - failed.length} of ${schedules} schedules held`;
    print(`\n${held}, seeds ${seed} to ${seed + schedules - 1}, in ${wallS.toFixed(0)} s`);
  }
  if (failed.length > 0) process.exitCode = 1;
}

function printTable(rows: readonly Row[]): void {
  let group = "";
  const columns = [34, 14, 16, 10, 22];
  const line = (...cells: string[]) =>
    cells.map((cell, index) => cell.padEnd(columns[index] ?? 0)).join(" ");
  print(line("cell", "metric", "target", "median", "min .. max", ""));
  for (const row of rows) {
    if (row.row !== group) print(`\n# ${row.row}`);
    group = row.row;
    if (row.pass === true && SILENT.has(row.metric)) continue;
    const spread = `${figure(row.min)} .. ${figure(row.max)}`;
    const verdict = row.pass === undefined ? "" : row.pass ? "ok" : "MISSED";
    print(line(row.cell, row.metric, row.target, figure(row.median), spread, verdict));
  }
}

function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Number(value.toPrecision(4)).toString();
}

// Whoever reads may stop reading: "sim list | head".
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code !== "EPIPE") throw cause;
  process.exit();
});

const program = new Command("sim").description(
  "emulated links in virtual time, real bonds over them",
);
program
  .command("list")
  .description("names the cells of the matrix")
  .action(() => {
    for (const { name, row } of CELLS) print(`${name.padEnd(40)} ${row}`);
  });
program
  .command("run")
  .description("plays one cell with one seed")
  .argument("<cell>", "its name", existing)
  .option("--seed <n>", "seed of everything random", positive, 1)
  .addOption(controllerOption())
  .option("--plot <file>", "draw rate, window and queue of the first world as SVG")
  .option("--json", "print as JSON")
  .action(run);
program
  .command("matrix")
  .description("plays cells over seeds and compares with their targets")
  .option("--seeds <n>", "seeds 1 to n", positive, SEEDS)
  .option("--only <regex>", "cells or rows whose name matches", cellsMatching)
  .addOption(controllerOption())
  .option("--json", "print as JSON")
  .option("--strict", "exit with 1 when a target is missed")
  .action(matrix);
program
  .command("faults")
  .description("plays random schedules of faults; fails when something does not hold")
  .option("--schedules <n>", "how many", positive, 50)
  .option("--seed <n>", "seed of the first; the next ones follow", positive, 1)
  .option("--brief", "shorter schedules over slower links, as in the tests")
  .option("--json", "print as JSON")
  .action(faults);
await program.parseAsync();
