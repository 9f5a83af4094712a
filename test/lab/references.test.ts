/** What documents name in passing is there: experiments, cells of the simulator, files of the tree. */
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
const CELL_NAMES = CELLS.map(({ name }) => name);

/** What a pattern's group finds in all documents. */
function found(pattern: RegExp): Name[] {
  return DOCUMENTS.flatMap(({ path, text }) =>
    [...text.matchAll(pattern)].map(([, name = ""]) => ({ path, name })),
  );
}

/** At least `count` names, or the pattern has come to find nothing. */
function assertKnown(names: readonly Name[], count: number, isKnown: (name: string) => boolean) {
  assert.ok(names.length >= count, `only ${names.length} were found`);
  assert.deepEqual(
    names.filter(({ name }) => !isKnown(name)),
    [],
  );
}

test("every experiment that a document names with its group is there", () => {
  const named = found(/`([a-z0-9-]+\/[a-z0-9+-]+)`/g);
  const ofGroups = named.filter(({ name }) => GROUPS.has(name.split("/")[0] ?? ""));
  const names = new Set(EXPERIMENTS.map(({ name }) => name));
  assertKnown(ofGroups, 20, (name) => names.has(name));
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
