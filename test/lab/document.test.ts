/** docs/lab.md names every experiment and every figure that one is judged by; commands in documents can be run. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { EXPERIMENTS } from "../../netns/experiments/experiments.ts";
import { findExperiments } from "../../netns/runner.ts";
import { cellNamed } from "../sim/cells/all.ts";

/** Its cases have names that say what they are; the table has one line for all. */
const ONE_LINE = "profiles";

/** What stands between backquotes, whole and word by word. */
const WORDS = new Set(
  [...readFileSync("docs/lab.md", "utf8").matchAll(/`([^`\n]+)`/g)].flatMap(([, code = ""]) => [
    code,
    ...code.split(/[ /]/),
  ]),
);

test("every experiment is described, and every figure that it is judged by", () => {
  const missing = EXPERIMENTS.flatMap(({ name, demands }) => {
    const [group = "", one = ""] = name.split("/");
    const names = group === ONE_LINE ? [group] : [group, one].filter((word) => word !== "");
    const described = WORDS.has(name) || names.every((word) => WORDS.has(word));
    const figures = demands.map(([figure]) => figure).filter((figure) => !WORDS.has(figure));
    return [...(described ? [] : [name]), ...figures.map((figure) => `${figure} of ${name}`)];
  });
  assert.deepEqual(missing, []);
});

/** What follows these words in any document: names, up to the first option. */
function namesAfter(words: string): string[] {
  const files = ["README.md", ...readdirSync("docs").map((name) => `docs/${name}`)];
  const texts = files
    .filter((name) => name.endsWith(".md"))
    .map((name) => readFileSync(name, "utf8"));
  const pattern = new RegExp(`${words}((?: [a-z0-9][\\w+/-]*)+)`, "g");
  return texts.flatMap((text) =>
    [...text.matchAll(pattern)].flatMap(([, names = ""]) => names.trim().split(" ")),
  );
}

test("experiments and cells that documents tell to run are there", () => {
  const experiments = namesAfter("npm run lab -- run");
  const cells = namesAfter("npm run sim -- run");
  assert.ok(experiments.length > 10 && cells.length > 2, `${experiments} ${cells}`);
  for (const name of experiments) assert.ok(findExperiments(name).length > 0, name);
  for (const name of cells) assert.ok(cellNamed(name) !== undefined, name);
});
