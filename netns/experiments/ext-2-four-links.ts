/** Four equal links, against three of them and against each alone. */
import type { Experiment } from "../experiment.ts";
import { bondExperiment } from "./bond.ts";

const LINK = "rate=25mbit,delay=10ms";

export const ext2FourLinks: Experiment = bondExperiment({
  name: "ext-2-four-links",
  summary: "TCP over 4 x 25 Mbit/s, against 3 x 25 and against each link alone through the tunnel",
  links: [LINK, LINK, LINK, LINK],
  part: { name: "three_links", links: [1, 2, 3] },
  demands: [
    ["of_sum", ">=", 0.95],
    ["gain_over_three_links", ">=", 1.25],
    ["queue_ms_p95", "<=", 15],
  ],
});
