/** What documents name is there: experiments, cells of the simulator, files of the tree. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { EXPERIMENTS } from "../../netns/experiments/experiments.ts";
import { CELLS } from "../sim/cells/all.ts";
import { FAULT_KINDS } from "../sim/faults/fault.ts";

interface Name {
  readonly path: string;
  readonly name: string;
}

const DOCUMENTS = [
  "README.md",
  "src/README.md",
  ...readdirSync("docs").map((file) => `docs/${file}`),
]
  .filter((path) => path.endsWith(".md"))
  .map((path) => ({ path, text: readFileSync(path, "utf8") }));

const GROUPS = new Set(EXPERIMENTS.map(({ name }) => name.split("/")[0] ?? name));
const NAMES = new Set([...GROUPS, ...EXPERIMENTS.map(({ name }) => name)]);
const CELL_NAMES = CELLS.flatMap(({ name, row }) => [name, row]);

/** What a pattern's group finds in all documents. */
function found(pattern: RegExp): Name[] {
  return DOCUMENTS.flatMap(({ path, text }) =>
    [...text.matchAll(pattern)].map(([, name = ""]) => ({ path, name })),
  );
}

/** The words behind a command as far as they are names. */
function namesBehind(command: RegExp): Name[] {
  return found(command).flatMap(({ path, name: words }) => {
    const all = words.trim().split(/ +/);
    const end = all.findIndex((word) => !/^[a-z0-9][a-z0-9/+-]*$/.test(word));
    return all.slice(0, end < 0 ? all.length : end).map((name) => ({ path, name }));
  });
}

/** At least `count` names, or the pattern has come to find nothing. */
function assertKnown(names: readonly Name[], count: number, isKnown: (name: string) => boolean) {
  assert.ok(names.length >= count, `only ${names.length} were found`);
  assert.deepEqual(
    names.filter(({ name }) => !isKnown(name)),
    [],
  );
}

test("every experiment that a document runs, or names with its group, is there", () => {
  const run = namesBehind(/npm run lab -- run ([^`#\n]*)/g);
  const named = found(/`([a-z0-9-]+\/[a-z0-9+-]+)`/g);
  assertKnown(run, 10, (name) => NAMES.has(name));
  assertKnown(
    named.filter(({ name }) => GROUPS.has(name.split("/")[0] ?? "")),
    20,
    (name) => NAMES.has(name),
  );
});

test("every cell that a document plays is there", () => {
  const played = namesBehind(/npm run sim -- (?:run|matrix --only) ([^`#\n]*)/g);
  assertKnown(played, 3, (name) => CELL_NAMES.includes(name));
});

test("every file of the tree that a document names is there", () => {
  const files = found(/`((?:test|netns|scripts)\/[\w./-]*\w)/g);
  assertKnown(files, 20, (name) => existsSync(name));
});

test("what plays a fault in the simulator, by the table of failover.md, is there", () => {
  const { path, text } = DOCUMENTS.find((one) => one.path === "docs/failover.md") ?? assert.fail();
  const section =
    text.split("\n## ").find((one) => one.startsWith("What covers which fault")) ?? "";
  const cells = section.split("\n").map((line) => line.split("|")[3] ?? "");
  const words = cells.flatMap((cell) => [...cell.matchAll(/`([a-z0-9*-]+)`/g)]);
  const isCell = (name: string) =>
    name.endsWith("*")
      ? CELL_NAMES.some((cell) => cell.startsWith(name.slice(0, -1)))
      : CELL_NAMES.includes(name);
  assertKnown(
    words.map(([, name = ""]) => ({ path, name })),
    10,
    (name) => isCell(name) || FAULT_KINDS.some((kind) => kind === name),
  );
});
