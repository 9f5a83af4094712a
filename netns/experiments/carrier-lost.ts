/**
 * How soon both portals know that an idle link has lost what it needs of the machine, its carrier, its device, its
 * address, of which the kernel tells; or its way, of which nobody does, in a tunnel in which nothing flows. It is taken
 * from one link after the other; from the moment before it is asked for until the lines in both logs.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { quantile } from "../load/ping.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import type { Family } from "../topology/names.ts";
import { plug, removeDevice, takeAddress } from "../topology/upheaval.ts";
import { loggedAfter } from "./faults/log-times.ts";

/** Each is cut once: one that returns after every cut would have to prove itself. */
const LINKS = { full: 16, brief: 4 } as const;
const LIMIT_MS = 50;
/** Where no kernel tells: a second, and what cutting takes. */
const SILENT_LIMIT_MS = 1_050;
/** After this a tunnel counts as idle. */
const IDLE_MS = 6_000;
/** Cuts fall anywhere between two probes. */
const PHASE_MS = 1_000;

interface Loss {
  /** What the link loses. */
  readonly name: string;
  /** Only the portals' own questions show it. */
  readonly silent?: boolean;
  take(lab: Lab, link: number, family: Family): Promise<void>;
}

const LOSSES: readonly Loss[] = [
  { name: "carrier", take: (lab, link) => plug(lab, link, false) },
  { name: "device", take: removeDevice },
  { name: "address", take: takeAddress },
  { name: "way", silent: true, take: (lab, link) => lab.cut(link) },
];

export const carrierLost: readonly Experiment[] = LOSSES.map((loss) => ({
  name: `carrier-lost/${loss.name}`,
  summary: `how soon both portals know that the ${loss.name} of an idle link is gone`,
  demands: [
    ["local_ms", "<=", loss.silent ? SILENT_LIMIT_MS : LIMIT_MS],
    ["remote_ms", "<=", loss.silent ? SILENT_LIMIT_MS : LIMIT_MS],
  ],
  run: (context) => {
    const count = context.brief ? LINKS.brief : LINKS.full;
    const links = new Array<string>(count).fill(loss.silent ? "delay=10ms,live" : "");
    return withLab(context, links, (lab) => measure(lab, context, loss));
  },
}));

async function measure(lab: Lab, context: Context, { silent, take }: Loss): Promise<Figures> {
  const portals = await Portals.up(lab, carriage(context));
  if (silent) await sleep(IDLE_MS);
  const local: number[] = [];
  const remote: number[] = [];
  // The last one is left to tell the other portal.
  for (let link = 1; link < lab.links.length; link += 1) {
    if (silent) await sleep(Math.random() * PHASE_MS);
    const sinceMs = Date.now();
    await take(lab, link, context.family);
    const told = "(is out|does not answer)";
    local.push(await loggedAfter(portals, "local", new RegExp(`link${link} ${told}`), sinceMs));
    const remotes = new RegExp(`link ${link - 1} ${told}`);
    remote.push(await loggedAfter(portals, "remote", remotes, sinceMs));
  }
  await portals.down();
  return {
    losses: local.length,
    local_ms: round(quantile(local, 0.5)),
    local_worst_ms: round(Math.max(...local)),
    remote_ms: round(quantile(remote, 0.5)),
    remote_worst_ms: round(Math.max(...remote)),
  };
}
