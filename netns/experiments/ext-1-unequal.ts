/** Two links of unlike rates: their sum, or nearly. */
import type { Experiment } from "../experiment.ts";
import { type BondCase, bondExperiment } from "./bond.ts";

const PAIRS = [
  [25, 75, 0.95],
  [50, 12, 0.95],
  [100, 10, 0.9],
] as const;

export const ext1Unequal: readonly Experiment[] = PAIRS.map(([first, second, ofSum]): BondCase => {
  const rates = `${first}+${second}`;
  return {
    name: `ext-1-unequal/${rates}`,
    summary: `TCP over ${rates} Mbit/s, against each link alone through the tunnel`,
    links: [first, second].map((rate) => `rate=${rate}mbit,delay=10ms`),
    demands: [
      ["of_sum", ">=", ofSum],
      ["gain_over_best", ">=", 0.97],
      ["queue_ms_p95", "<=", 15],
    ],
  };
}).map(bondExperiment);
