/**
 * One of two links is cut without a word while a TCP flow and a stream of 100 packets a second run,
 * and comes back.
 *
 *   0            cut              return          end
 *   |--- both ---|---- link 2 ----|---- both -----|
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { type Flow, iperf } from "../load/iperf.ts";
import { runStream } from "../load/processes.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";

const LINK = "rate=50mbit,delay=10ms,live";
const PACKETS_PER_SECOND = 100;
/** Seconds from the start; the first ones are slow start. */
const TIMES = {
  brief: { cut: 4, back: 8, end: 13 },
  full: { cut: 5, back: 11, end: 20 },
};
/** A figure of a phase leaves out the seconds in which it settles. */
const SETTLE_SECONDS = 2;
const INTERVAL_SECONDS = 0.1;

export const core1Failover: Experiment = {
  name: "core-1-failover",
  summary: "a silent cut and the return of one of two links under TCP and a UDP stream",
  demands: [
    ["tcp_survived", "==", 1],
    ["gap_ms", "<=", 1_500],
    ["rate_cut", ">=", 0.35],
    ["rate_back", ">=", 0.8],
  ],
  run: (context) => withLab(context, [LINK, LINK], (lab) => measure(lab, context)),
};

async function measure(lab: Lab, context: Context): Promise<Figures> {
  const times = context.brief ? TIMES.brief : TIMES.full;
  const portals = await Portals.up(lab, carriage(context));
  const loads = Promise.all([
    iperf(lab, {
      direction: "up",
      seconds: times.end,
      omitSeconds: 0,
      interval: INTERVAL_SECONDS,
    }),
    runStream(lab, { perSecond: PACKETS_PER_SECOND, seconds: times.end }),
  ]);
  context.progress(`two links, ${context.transport}: TCP and UDP stream, ${times.end} s`);
  await Promise.race([sleep(times.cut * 1_000), loads]);
  context.progress("link 1 is cut");
  await lab.cut(1);
  await Promise.race([sleep((times.back - times.cut) * 1_000), loads]);
  context.progress("link 1 is back");
  await lab.restore(1);
  const [flow, stream] = await loads;
  await portals.down();
  const before = rateBetween(flow, SETTLE_SECONDS, times.cut);
  const cut = rateBetween(flow, times.cut + SETTLE_SECONDS, times.back);
  const back = rateBetween(flow, times.back + SETTLE_SECONDS, times.end);
  return {
    tcp_survived: flow.error === null && back > 0 ? 1 : 0,
    gap_ms: round(stream.gapMs, 0),
    lost: stream.lost,
    duplicates: stream.duplicates,
    tcp_stall_ms: round(longestStall(flow) * 1_000, 0),
    rate_cut: round(cut / before),
    rate_back: round(back / before),
    rate_before_mbit: round(before / 1e6, 1),
    sender_control: flow.control,
    ...(flow.error === null ? {} : { tcp_error: flow.error }),
  };
}

function rateBetween(flow: Flow, from: number, to: number): number {
  const rates = flow.intervals.filter(({ end }) => end > from && end <= to).map(({ rate }) => rate);
  return rates.reduce((sum, rate) => sum + rate, 0) / Math.max(1, rates.length);
}

/** Seconds of the longest run of intervals in which the receiver got nothing. */
function longestStall(flow: Flow): number {
  let [longest, run] = [0, 0];
  for (const { rate } of flow.intervals) {
    run = rate === 0 ? run + INTERVAL_SECONDS : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}
