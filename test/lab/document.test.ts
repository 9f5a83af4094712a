/** docs/lab.md names every experiment, and every figure that one is judged by. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EXPERIMENTS } from "../../netns/experiments/experiments.ts";

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
