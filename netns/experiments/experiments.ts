/** Every experiment of the lab, in the order in which `list` shows them. */
import type { Experiment } from "../experiment.ts";
import { bitExact } from "./bit-exact.ts";
import { carrierLost } from "./carrier-lost.ts";
import { core1Failover } from "./core-1-failover.ts";
import { core2Bidirectional } from "./core-2-bidirectional.ts";
import { core5TwoLinks } from "./core-5-two-links.ts";
import { ext1Unequal } from "./ext-1-unequal.ts";
import { ext2FourLinks } from "./ext-2-four-links.ts";
import { ext3Adapts } from "./ext-3-adapts.ts";
import { ext4Regained } from "./ext-4-regained.ts";
import { fairness } from "./fairness.ts";
import { faults } from "./faults/faults.ts";
import { ladder } from "./ladder/ladder.ts";
import { latencyUnderLoad } from "./latency-under-load.ts";
import { mtu } from "./mtu.ts";
import { octetsAdded } from "./octets-added.ts";
import { overload } from "./overload/overload.ts";
import { probeVerdicts } from "./probe-verdicts.ts";
import { profiles } from "./profiles.ts";
import { stretch } from "./stretch.ts";
import { twoFlowsOneLossy } from "./two-flows-one-lossy.ts";

export const EXPERIMENTS: readonly Experiment[] = [
  core5TwoLinks,
  ...core1Failover,
  core2Bidirectional,
  bitExact,
  octetsAdded,
  ...ext1Unequal,
  ext2FourLinks,
  ext3Adapts,
  ...ext4Regained,
  latencyUnderLoad,
  ...fairness,
  ...faults,
  ...carrierLost,
  ...ladder,
  ...overload,
  ...mtu,
  ...probeVerdicts,
  ...stretch,
  twoFlowsOneLossy,
  ...profiles,
];
