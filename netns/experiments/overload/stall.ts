/**
 * 20 000 small packets a second while the event loop of a portal stands still for 50 ms again and again: none is
 * lost, whichever portal it is and whichever way they go.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../../experiment.ts";
import { runDatagrams } from "../../load/processes.ts";
import { Portals } from "../../portals.ts";
import { type Figures, round } from "../../result.ts";
import type { Lab } from "../../topology/lab.ts";
import { ADDRESS } from "../../topology/names.ts";

const LINK = "rate=200mbit";
const PORT = 6011;
const PER_SECOND = 20_000;
const OCTETS = 100;
const STALL_MS = 50;
/** Between two stalls, and before the first: the links have found their rate by then. */
const PAUSE_MS = 400;
const WARM_UP_MS = 1_000;
const STALLS = { brief: 2, full: 10 };
/** The same without: what is lost then is the machine's doing. */
const CALM_SECONDS = 2;
type End = "client" | "server";
const WAYS = [
  ["up", "client", "server"],
  ["down", "server", "client"],
] as const;

export const stall: Experiment = {
  name: "overload/stall",
  summary: "20 000 packets/s while each portal in turn stands still for 50 ms: none is lost",
  demands: [
    ["lost_unstalled", "<=", 0],
    ["lost_up", "<=", 0],
    ["lost_down", "<=", 0],
  ],
  run: (context) => withLab(context, [LINK, LINK], (lab) => measure(lab, context)),
};

async function measure(lab: Lab, context: Context): Promise<Figures> {
  const portals = await Portals.up(lab, carriage(context));
  const figures: Record<string, number> = {};
  const stalls = context.brief ? STALLS.brief : STALLS.full;
  context.progress("no stall");
  figures["lost_unstalled"] = await lost(lab, "client", "server", CALM_SECONDS);
  for (const [direction, from, to] of WAYS) {
    context.progress(`${stalls} stalls of each portal, packets ${direction}`);
    const seconds = (WARM_UP_MS + 2 * stalls * (PAUSE_MS + STALL_MS)) / 1_000 + 1;
    const [missing, longest] = await Promise.all([
      lost(lab, from, to, seconds),
      stand(portals, stalls),
    ]);
    figures[`lost_${direction}`] = missing;
    figures[`longest_ms_${direction}`] = round(longest, 1);
  }
  await portals.down();
  return figures;
}

/** How many of a stream's packets do not arrive. */
async function lost(lab: Lab, from: End, to: End, seconds: number): Promise<number> {
  const count = PER_SECOND * seconds;
  const { received } = await runDatagrams(lab, {
    ...{ kind: "udp", number: PORT, from, to, octets: OCTETS, perSecond: PER_SECOND, count },
    ...{ source: ADDRESS[from](4), target: ADDRESS[to](4) },
  });
  return count - received;
}

/** Stops each portal in turn; returns the longest stop, milliseconds. */
async function stand(portals: Portals, stalls: number): Promise<number> {
  let longest = 0;
  await sleep(WARM_UP_MS);
  for (let index = 0; index < 2 * stalls; index += 1) {
    const pid = portals.pid(index % 2 === 0 ? "local" : "remote");
    const startMs = performance.now();
    process.kill(pid, "SIGSTOP");
    await sleep(STALL_MS);
    process.kill(pid, "SIGCONT");
    longest = Math.max(longest, performance.now() - startMs);
    await sleep(PAUSE_MS);
  }
  return longest;
}
