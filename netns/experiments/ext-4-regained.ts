/**
 * A link that was away comes back under full load: how soon it carries what it did before. What counts
 * is what leaves the link's own bottleneck.
 *
 *   |-- both --|-- link 2 alone --|-- both, `seconds_to_90` --|
 *       before                  return
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Child } from "../command.ts";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { monotonicMs } from "../load/arrivals.ts";
import { type FlowDirection, iperf } from "../load/iperf.ts";
import type { Counted } from "../load/octets.ts";
import { rateBetween, secondsToShare } from "../load/progress.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";

const LINK = "rate=50mbit,delay=10ms,live";
const OCTETS = fileURLToPath(new URL("../load/octets.js", import.meta.url));
const LOOK_MS = 100;
const INTERVAL_SECONDS = 0.1;
const FLOWS = 4;
/** The flows find their rate. */
const LEAD_SECONDS = { full: 8, brief: 4 };
/** What was before, measured at the end of the lead. */
const BEFORE_SECONDS = 3;
const TAIL_SECONDS = 8;
const REGAINED = 0.9;

export const ext4Regained: readonly Experiment[] = [5, 30].map((away) => ({
  name: `ext-4-regained/${away}s`,
  summary: `a link is silent for ${away} s and returns under full load`,
  demands: [
    ["seconds_to_90_up", "<=", 3],
    ["seconds_to_90_down", "<=", 3],
  ],
  run: (context) =>
    withLab(context, [LINK, LINK], (lab) => measure(lab, context, context.brief ? 3 : away)),
}));

async function measure(lab: Lab, context: Context, away: number): Promise<Figures> {
  const portals = await Portals.up(lab, carriage(context));
  try {
    const figures: Record<string, number | string | null> = {};
    for (const direction of context.directions ?? (["up", "down"] as const)) {
      context.progress(`link 1 is away for ${away} s, ${direction}`);
      Object.assign(figures, await regained(lab, context, direction, away));
    }
    return figures;
  } finally {
    await portals.down();
  }
}

async function regained(lab: Lab, context: Context, direction: FlowDirection, away: number) {
  const lead = context.brief ? LEAD_SECONDS.brief : LEAD_SECONDS.full;
  const [flows = FLOWS] = context.flows ?? [];
  const device = direction === "up" ? "rp" : "lp";
  const counter = lab.spawn("isp1", process.execPath, [OCTETS, device, `${LOOK_MS}`]);
  await counter.saw("counting", 5_000);
  const seconds = lead + away + TAIL_SECONDS;
  const load = iperf(lab, {
    ...{ direction, seconds, flows, omitSeconds: 0, interval: INTERVAL_SECONDS },
  });
  await Promise.race([sleep(lead * 1_000), load]);
  const cutMs = monotonicMs();
  await lab.cut(1);
  await Promise.race([sleep(away * 1_000), load]);
  const backMs = monotonicMs();
  await lab.restore(1);
  const flow = await load;
  const link = { intervals: await intervalsOf(counter) };
  const [cut, back] = [cutMs / 1_000, backMs / 1_000];
  const before = rateBetween(link, cut - BEFORE_SECONDS, cut);
  const toShare = secondsToShare(link, back, REGAINED * before);
  return {
    [`seconds_to_90_${direction}`]: toShare === null ? null : round(toShare, 1),
    [`link_before_mbit_${direction}`]: round(before / 1e6, 1),
    [`link_after_mbit_${direction}`]: round(rateBetween(link, back + 3, back + 7) / 1e6, 1),
    [`flows_mbit_${direction}`]: round(flow.rate / 1e6, 1),
    ...(flow.error === null ? {} : { [`tcp_error_${direction}`]: flow.error }),
  };
}

/** Bits per second between two looks, at the second's end, seconds of the monotonic clock. */
async function intervalsOf(counter: Child) {
  await counter.end();
  const line = counter.stdout.trim().split("\n").at(-1) ?? "";
  const { atMs, octets } = JSON.parse(line) as Counted;
  return atMs.slice(1).map((ms, index) => {
    const seconds = (ms - (atMs[index] as number)) / 1_000;
    const sent = (octets[index + 1] as number) - (octets[index] as number);
    return { end: ms / 1_000, rate: (8 * sent) / seconds };
  });
}
