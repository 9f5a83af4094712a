/**
 * Portals that are killed and started again, and a translation that changes, under load: the short form of
 * these faults, with margins for a busy machine.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { briefContext } from "./experiment.ts";
import { faults } from "./experiments/faults/faults.ts";
import { type Demand, judge, resultText } from "./result.ts";

const SUITE = ["kill-remote", "kill-remote-forgets", "kill-local", "nat-rebind-alone"];

/** A program takes its time to start; a machine that stands still for a moment loses some. */
const MARGINS: Readonly<Record<string, number>> = {
  ...{ outage_ms: 6_000, moved_ms: 1_500, reset_ms: 1_500, lost: 20 },
};

/** Labs at a time: most of a case is waiting for a portal to start. */
const LABS = 2;

function withMargin([name, op, limit]: Demand): Demand {
  return [name, op, MARGINS[name] ?? limit];
}

test("faults", { concurrency: LABS }, async (suite) => {
  const wanted = faults.filter(({ name }) => SUITE.some((one) => name === `faults/${one}`));
  assert.equal(wanted.length, SUITE.length);
  const runs = wanted.map((experiment, index) => {
    const transport = index % 2 === 0 ? "raw" : "udp";
    return suite.test(`${experiment.name} over ${transport}: ${experiment.summary}`, async () => {
      const figures = await experiment.run(briefContext(transport));
      const result = judge(experiment.name, figures, experiment.demands.map(withMargin));
      assert.ok(result.pass, resultText(result));
    });
  });
  await Promise.all(runs);
});
