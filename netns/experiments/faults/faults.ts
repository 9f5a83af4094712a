/**
 * Everything that can go wrong with links, portals and addresses, one after the other: a TCP flow and two
 * streams run, the fault comes and goes, and what users noticed is written down.
 *
 *   portals up -- lead --|------ fault ------|-------- tail --------|
 *               `before`  |--- `outage_ms` ---|-- `recovery_s` --|
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../../experiment.ts";
import { firstSentAfter, monotonicMs } from "../../load/arrivals.ts";
import type { Flow } from "../../load/iperf.ts";
import { longestStall, rateBetween, secondsToShare } from "../../load/progress.ts";
import { noticed, type Watched, watchedLoad } from "../../load/watched.ts";
import { Portals } from "../../portals.ts";
import { type Figures, round } from "../../result.ts";
import type { Lab } from "../../topology/lab.ts";
import { ADDRESS_FAULTS } from "./address-faults.ts";
import { type Fault, LINK, type OwnFigures } from "./fault.ts";
import { LINK_FAULTS } from "./link-faults.ts";
import { PORTAL_FAULTS } from "./portal-faults.ts";

/** Half of the 91 Mbit/s that one flow gets over both links, just what one of them carries; less in tests. */
const PACE = { full: 45e6, brief: 20e6 };
const LEAD_SECONDS = { full: 5, brief: 3 };
const TAIL_SECONDS = { full: 6, brief: 4 };
/** Slow start does not count as what was before. */
const SETTLE_SECONDS = 1;
/** Of its former rate: the flow has recovered. */
const RECOVERED = 0.9;

export const FAULTS: readonly Fault[] = [...LINK_FAULTS, ...PORTAL_FAULTS, ...ADDRESS_FAULTS];

export const faults: readonly Experiment[] = FAULTS.map((fault) => ({
  name: `faults/${fault.name}`,
  summary: fault.summary,
  demands: [["tcp_survived", "==", 1], ["duplicated", "==", 0], ...fault.demands],
  run: (context) =>
    withLab(context, fault.links ?? [LINK, LINK], (lab) => measure(lab, context, fault)),
}));

/** When the fault came and went, on the monotonic clock. */
interface Span {
  readonly fromMs: number;
  readonly overMs: number;
}

async function measure(lab: Lab, context: Context, fault: Fault): Promise<Figures> {
  const length = context.brief ? "brief" : "full";
  const lead = LEAD_SECONDS[length];
  const seconds = lead + fault.holds[length] + (fault.tail ?? TAIL_SECONDS[length]);
  const portals = await Portals.up(lab, {
    ...carriage(context),
    ...(await fault.portals?.(lab)),
  });
  try {
    const pace = fault.pace === undefined ? PACE[length] : fault.pace;
    const load = watchedLoad(lab, { ...directions(context, fault), seconds, pace });
    await Promise.race([sleep(lead * 1_000), load]);
    context.progress(fault.summary);
    const { span, own } = await strike(lab, context, fault, portals, fault.holds[length] * 1_000);
    return { ...figures(await load, span, lead), ...own };
  } finally {
    await portals.down();
  }
}

function directions(context: Context, { lives }: Fault) {
  if (lives !== undefined)
    return { direction: lives === "up" ? "down" : "up", other: true } as const;
  const [direction = "up"] = context.directions ?? [];
  return { direction };
}

async function strike(
  lab: Lab,
  { progress }: Context,
  fault: Fault,
  portals: Portals,
  holdMs: number,
): Promise<{ span: Span; own: OwnFigures }> {
  let overMs: number | null = null;
  const fromMs = monotonicMs();
  const over = () => {
    overMs = monotonicMs();
  };
  const own = await fault.act({ lab, portals, holdMs, over, progress });
  return { span: { fromMs, overMs: overMs ?? monotonicMs() }, own };
}

/** From the end of the fault until packets that were sent after it have come, both ways. */
function backMs({ streams }: Watched, overMs: number): number {
  return Math.max(...streams.map(({ trace }) => firstSentAfter(trace, overMs))) - overMs;
}

function figures(load: Watched, { fromMs, overMs }: Span, lead: number): Figures {
  const { flow, streams } = load;
  const at = (ms: number) => (ms - flow.startedMs) / 1_000;
  const [from, over] = [at(fromMs), at(overMs)];
  const last = flow.intervals.at(-1)?.end ?? 0;
  const before = rateBetween(flow, SETTLE_SECONDS, lead);
  const endMs = flow.startedMs + last * 1_000;
  const { gapMs, gapFromMs, delayMs, lost, machineMs } = noticed(load, fromMs, endMs);
  const recovery = secondsToShare(flow, over, RECOVERED * before);
  return {
    outage_ms: round(gapMs, 0),
    outage_at_ms: round(gapFromMs - fromMs, 0),
    back_ms: round(backMs(load, overMs), 0),
    machine_ms: round(machineMs, 0),
    delay_ms: round(delayMs, 0),
    lost,
    duplicated: streams.reduce((sum, { duplicates }) => sum + duplicates, 0),
    recovery_s: recovery === null ? null : round(recovery, 1),
    tcp_survived: flow.error === null && rateBetween(flow, last - 1, last) > 0 ? 1 : 0,
    tcp_stall_ms: round(longestStall(flow, SETTLE_SECONDS) * 1_000, 0),
    rate_before_mbit: round(before / 1e6, 1),
    rate_during: round(rateBetween(flow, from, over) / before),
    rate_after: round(rateBetween(flow, over + 3, last) / before),
    ...(flow.error === null ? {} : { tcp_error: flow.error }),
    ...living(load.other, fromMs, overMs, lead),
  };
}

/** What the direction that the fault leaves alone carried while it lasted, of what it had carried. */
function living(flow: Flow | null, fromMs: number, overMs: number, lead: number): Figures {
  if (flow === null) return {};
  const [from, over] = [fromMs, overMs].map((ms) => (ms - flow.startedMs) / 1_000);
  const before = rateBetween(flow, SETTLE_SECONDS, lead);
  return {
    living_before_mbit: round(before / 1e6, 1),
    living_rate: round(rateBetween(flow, from ?? 0, over ?? 0) / before),
    living_stall_ms: round(longestStall(flow, SETTLE_SECONDS) * 1_000, 0),
    ...(flow.error === null ? {} : { living_error: flow.error }),
  };
}
