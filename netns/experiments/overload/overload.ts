/** What a portal stands: more than its links carry, more than it can take in, stalls, a machine that refuses, strangers. */
import type { Experiment } from "../../experiment.ts";
import { floods } from "./flood.ts";
import { refusals } from "./refusal.ts";
import { stall } from "./stall.ts";
import { strangers } from "./strangers.ts";

export const overload: readonly Experiment[] = [...floods, stall, ...refusals, strangers];
