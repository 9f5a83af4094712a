/** Every experiment of the lab, in the order in which `list` shows them. */
import type { Experiment } from "../experiment.ts";
import { bitExact } from "./bit-exact.ts";
import { core1Failover } from "./core-1-failover.ts";
import { core2Bidirectional } from "./core-2-bidirectional.ts";
import { core5TwoLinks } from "./core-5-two-links.ts";
import { ext1Unequal } from "./ext-1-unequal.ts";
import { octetsAdded } from "./octets-added.ts";
import { profiles } from "./profiles.ts";

export const EXPERIMENTS: readonly Experiment[] = [
  core5TwoLinks,
  core1Failover,
  core2Bidirectional,
  bitExact,
  octetsAdded,
  ...ext1Unequal,
  ...profiles,
];
