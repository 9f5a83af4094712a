/**
 * What a portal stands, in brief. Figures that a busy machine spoils have a margin; that nothing is lost in a stall has
 * none, but a second try, and is not judged on a machine that loses packets without a stall.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { briefContext, type Experiment } from "./experiment.ts";
import { overload } from "./experiments/overload/overload.ts";
import { type Demand, judge, resultText } from "./result.ts";

const MARGINS: Readonly<Record<string, number>> = {
  ...{ ping_added_ms_p95: 500, gap_ms: 2_000, share_of_rate: 0.15, delivered_mbit: 4 },
  ...{ arrived_per_second: 2_000, goodput_kept: 0.5, cpu_added: 0.5 },
};
const TRIES: Readonly<Record<string, number>> = { "overload/stall": 2 };

for (const experiment of overload) {
  test(`${experiment.name}: ${experiment.summary}`, async (context) => {
    const texts: string[] = [];
    let busy = false;
    for (let tried = 0; tried < (TRIES[experiment.name] ?? 1); tried += 1) {
      const result = await judged(experiment);
      texts.push(resultText(result));
      if (result.pass) return;
      busy = Number(result.figures["lost_unstalled"] ?? 0) > 0;
    }
    if (busy) return context.skip("this machine cannot carry the load by itself");
    assert.fail(texts.join("\n"));
  });
}

async function judged(experiment: Experiment) {
  const figures = await experiment.run(briefContext("udp"));
  const demands = experiment.demands.map(
    ([name, op, limit]): Demand => [name, op, MARGINS[name] ?? limit],
  );
  return judge(experiment.name, figures, demands);
}
