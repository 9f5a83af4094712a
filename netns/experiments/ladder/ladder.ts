/**
 * One link whose path changes under the traffic: what the portals carry it by, and what an inner flow
 * notices. Both directions are loaded at once, by a TCP flow and by 200 packets a second each.
 *
 *   portals up -- settled? -- flows start ---- change ---------------- flows end
 *                 `start`                      |-- `switch_ms` --|     `end`
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../../experiment.ts";
import { type Flow, type FlowDirection, iperf } from "../../load/iperf.ts";
import { runStream, type StreamResult } from "../../load/processes.ts";
import { longestStall, rateBetween } from "../../load/progress.ts";
import { Portals } from "../../portals.ts";
import { type Figures, round } from "../../result.ts";
import type { Lab } from "../../topology/lab.ts";
import { parseMiddlebox } from "../../topology/middlebox.ts";
import type { LadderCase } from "./case.ts";
import { LADDER_CASES } from "./cases.ts";
import { CarrierWatch, CLIENTS, type Client, matches } from "./watch.ts";

/** A round trip of 50 ms. */
const LINK = "rate=20mbit,delay=25ms,live";
const SECONDS = 9;
/** Until the link is up: TCP is tried after a second, and programs take theirs to start. */
const UP_MS_MAX = 5_000;
/** A trial of a better transport takes about half a second; a busy machine is slower. */
const SETTLE_LIMIT_MS = 8_000;
/** Slow start, and the first loss. */
const COUNT_FROM_SECONDS = 1.5;
const INTERVAL_SECONDS = 0.1;
const PACKETS_PER_SECOND = 200;
const PORT = 5_201;
/** A flow that hangs longer than this at its end has failed. */
const SLACK_MS = 8_000;
/** Of each portal, when a case fails. */
const LOG_LINES = 12;

export const ladder: readonly Experiment[] = LADDER_CASES.map((one) => ({
  name: `ladder/${one.name}`,
  summary: one.summary,
  transport: "auto",
  demands: [
    ["tcp_survived", "==", 1],
    ["switch_ms", "<=", 1_000],
    ["up_ms", "<=", UP_MS_MAX],
    ["start_as_wanted", "==", 1],
    ["end_as_wanted", "==", 1],
    ...(one.demands ?? []),
  ],
  run: (context) => {
    const link = one.link === undefined ? LINK : `${LINK},${one.link}`;
    return withLab(context, [link], (lab) => measure(lab, context, one));
  },
}));

/** A client's flows with their watch. */
interface Loaded {
  readonly client: Client;
  readonly watch: CarrierWatch;
  readonly flows: readonly Flow[];
}

async function measure(lab: Lab, context: Context, one: LadderCase): Promise<Figures> {
  if (one.box !== undefined) await lab.middlebox(1, parseMiddlebox(one.box));
  const clients = CLIENTS.slice(0, lab.links[0]?.neighbour === true ? 2 : 1);
  const port = one.port === undefined ? {} : { port: one.port };
  const options = { ...carriage(context), ...port, neighbour: clients.length > 1 };
  const startMs = performance.now();
  const portals = await Portals.up(lab, options);
  const upMs = performance.now() - startMs;
  const watches = clients.map((client) => new CarrierWatch(portals, client));
  try {
    const settled = await Promise.all(watches.map((it) => it.until(one.start, SETTLE_LIMIT_MS)));
    const settledMs = performance.now() - startMs;
    const started = watches.map((watch) => `${watch.now.up}/${watch.now.down}`).join(" ");
    const loaded = await load(lab, context, one, watches);
    const figures = {
      up_ms: round(upMs, 0),
      settled_ms: round(settledMs, 0),
      start_as_wanted: settled.every(Boolean) ? 1 : 0,
      end_as_wanted: watches.every((watch) => matches(watch.now, one.end)) ? 1 : 0,
      started,
      ...loaded,
    };
    tellWhy(context, portals, figures);
    return figures;
  } finally {
    await Promise.all(watches.map((watch) => watch.end()));
    await portals.down();
  }
}

/** Runs the flows of every client and the changes to the path beside them. */
async function load(
  lab: Lab,
  context: Context,
  one: LadderCase,
  watches: readonly CarrierWatch[],
): Promise<Record<string, number | string | null>> {
  const { seconds = SECONDS } = one;
  const streams = Promise.all(
    (["up", "down"] as const).map((direction) =>
      runStream(lab, { perSecond: PACKETS_PER_SECOND, seconds, direction }),
    ),
  );
  const flows = Promise.all(
    watches.map(async (watch, index): Promise<Loaded> => {
      const client = CLIENTS[index] as Client;
      return { client, watch, flows: await flowsOf(lab, client, index, seconds) };
    }),
  );
  const startMs = performance.now();
  const changed = await change(lab, context, one, startMs);
  const [heard, carried] = await Promise.all([streams, flows]);
  return {
    ...flowFigures(carried, one, startMs, changed.firstMs),
    ...streamFigures(heard),
    ...changed.figures,
  };
}

function flowsOf(lab: Lab, { side }: Client, index: number, seconds: number): Promise<Flow[]> {
  const from = side === "local" ? "client" : "lp2";
  const each = (direction: FlowDirection, port: number) =>
    iperf(lab, {
      ...{ direction, port, seconds, from },
      ...{ omitSeconds: 0, interval: INTERVAL_SECONDS, slackMs: SLACK_MS },
    });
  return Promise.all([each("up", PORT + 2 * index), each("down", PORT + 2 * index + 1)]);
}

async function change(lab: Lab, context: Context, one: LadderCase, startMs: number) {
  const figures: Record<string, number> = {};
  let firstMs: number | null = null;
  for (const { at, what, act } of one.changes) {
    await sleep(Math.max(0, startMs + at * 1_000 - performance.now()));
    context.progress(`${one.name}: ${what}`);
    firstMs ??= performance.now();
    Object.assign(figures, await act(lab, context.family));
  }
  return { figures, firstMs };
}

function flowFigures(
  loaded: readonly Loaded[],
  one: LadderCase,
  startMs: number,
  changedMs: number | null,
): Record<string, number | string | null> {
  const { seconds = SECONDS, changes } = one;
  const flows = loaded.flatMap((client) => client.flows);
  const before = changes[0]?.at ?? seconds;
  const rates = (from: number, to: number) =>
    flows.map((flow) => rateBetween(flow, from, to)).reduce((sum, rate) => sum + rate, 0);
  const [first, last] = [rates(COUNT_FROM_SECONDS, before), rates(seconds - 2, seconds)];
  const stalls = flows.map((flow) => longestStall(flow, COUNT_FROM_SECONDS) * 1_000);
  const survived = flows.every(
    (flow) => flow.error === null && rateBetween(flow, seconds - 1, seconds) > 0,
  );
  const errors = flows.flatMap(({ error }) => (error === null ? [] : [error]));
  return {
    tcp_survived: survived ? 1 : 0,
    switch_ms: round(Math.max(...stalls), 0),
    stalls_ms: stalls.map((stall) => round(stall, 0)).join(" "),
    rate_before_mbit: round(first / 1e6, 1),
    rate_after_mbit: round(last / 1e6, 1),
    rate_kept: round(last / first),
    decided_up_ms:
      changedMs === null ? null : (loaded[0]?.watch.lastChange("up", changedMs) ?? null),
    decided_down_ms:
      changedMs === null ? null : (loaded[0]?.watch.lastChange("down", changedMs) ?? null),
    carrier_changes: loaded.reduce((sum, { watch }) => sum + watch.changesSince(startMs), 0),
    carriers: loaded.map(({ watch }) => watch.story(startMs)).join(" | "),
    ...(errors.length === 0 ? {} : { tcp_error: errors.join("; ") }),
  };
}

/** Up and down. */
function streamFigures(streams: readonly StreamResult[]): Record<string, number | string> {
  const lost = streams.map((stream) => stream.lost);
  const all = lost.reduce((sum, count) => sum + count, 0);
  return {
    lost: all,
    lost_share: round(all / streams.reduce((sum, { sent }) => sum + sent, 0), 4),
    lost_up_down: lost.join(" "),
    stream_gap_ms: round(Math.max(...streams.map((stream) => stream.gapMs)), 0),
  };
}

/** The ends of the portals' logs, when something is not as it should be. */
function tellWhy(context: Context, portals: Portals, figures: Record<string, unknown>): void {
  const well = figures["start_as_wanted"] === 1 && figures["end_as_wanted"] === 1;
  if (well && figures["tcp_survived"] === 1) return;
  for (const side of ["local", "remote"] as const) {
    const lines = portals.log(side).trimEnd().split("\n").slice(-LOG_LINES);
    context.progress(`the ${side} portal's log:\n    ${lines.join("\n    ")}`);
  }
}
