/**
 * Every case of the ladder over IPv4, and those about raw's own packets over IPv6 too, with a margin for
 * a busy machine where a time is demanded.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { briefContext } from "./experiment.ts";
import { ladder } from "./experiments/ladder/ladder.ts";
import { type Demand, judge, resultText } from "./result.ts";
import type { Family } from "./topology/names.ts";

/** A machine that stands still for a moment is late, and loses some. */
const MARGINS: Readonly<Record<string, number>> = {
  ...{ switch_ms: 2_000, up_ms: 15_000, lost_share: 0.05 },
};
const V6_CASES = ["raw-dies", "mangled", "forged-fragmentation-needed"];

function withMargin([name, op, limit]: Demand): Demand {
  return [name, op, MARGINS[name] ?? limit];
}

const isForV6 = (name: string) => V6_CASES.some((one) => name.endsWith(`/${one}`));

/** Labs at a time: their links are slow, and most of a case is waiting. */
const LABS = 3;

const cases = ladder.flatMap((experiment) => {
  const families: Family[] = isForV6(experiment.name) ? [4, 6] : [4];
  return families.map((family) => ({ experiment, family }));
});

test("the ladder", { concurrency: LABS }, async (suite) => {
  const runs = cases.map(({ experiment, family }) =>
    suite.test(`${experiment.name} over IPv${family}: ${experiment.summary}`, async () => {
      const lines: string[] = [];
      const figures = await experiment.run({
        ...briefContext("auto"),
        family,
        progress: (text) => lines.push(text),
      });
      const result = judge(experiment.name, figures, experiment.demands.map(withMargin));
      assert.ok(result.pass, `${resultText(result)}\n${lines.join("\n")}`);
    }),
  );
  await Promise.all(runs);
});
