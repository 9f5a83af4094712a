/** Two TCP flows over a clean link and one that loses 1 %: the bond of both against the clean one alone. */
import type { Experiment } from "../experiment.ts";
import { bondExperiment } from "./bond.ts";

const CLEAN = "rate=50mbit,delay=10ms";

export const twoFlowsOneLossy: Experiment = bondExperiment({
  name: "two-flows-one-lossy",
  summary: "two TCP flows over 2 x 50 Mbit/s of which one link loses 1 %, against the clean one",
  links: [CLEAN, `${CLEAN},loss=1%`],
  flows: [2],
  demands: [["gain_over_best", ">=", 0.97]],
});
