/**
 * How soon both portals know that a link has lost what it needs of the machine: its carrier, its device, its
 * address. It is taken from one link after the other; from the moment before `ip` is asked to until the lines
 * in both logs. Idle links, so that only the kernel can tell.
 */
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

interface Loss {
  /** What the link loses. */
  readonly name: string;
  take(lab: Lab, link: number, family: Family): Promise<void>;
}

const LOSSES: readonly Loss[] = [
  { name: "carrier", take: (lab, link) => plug(lab, link, false) },
  { name: "device", take: removeDevice },
  { name: "address", take: takeAddress },
];

export const carrierLost: readonly Experiment[] = LOSSES.map((loss) => ({
  name: `carrier-lost/${loss.name}`,
  summary: `how soon both portals know that the ${loss.name} of an idle link is gone`,
  demands: [
    ["local_ms", "<=", LIMIT_MS],
    ["remote_ms", "<=", LIMIT_MS],
  ],
  run: (context) => {
    const count = context.brief ? LINKS.brief : LINKS.full;
    const links = new Array<string>(count).fill("");
    return withLab(context, links, (lab) => measure(lab, context, loss));
  },
}));

async function measure(lab: Lab, context: Context, { take }: Loss): Promise<Figures> {
  const portals = await Portals.up(lab, carriage(context));
  const local: number[] = [];
  const remote: number[] = [];
  // The last one is left to tell the other portal.
  for (let link = 1; link < lab.links.length; link += 1) {
    const sinceMs = Date.now();
    await take(lab, link, context.family);
    local.push(await loggedAfter(portals, "local", new RegExp(`link${link} is out`), sinceMs));
    remote.push(
      await loggedAfter(portals, "remote", new RegExp(`link ${link - 1} is out`), sinceMs),
    );
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
