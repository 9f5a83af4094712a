/**
 * Paths that carry less than Ethernet, and do not say so: from the beginning or from a moment on, one of several or the
 * only one. What an inner TCP flow notices in each direction, what the portals have found, and whether plain packets
 * that are too long for the tunnel are answered or cut.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { type FlowDirection, iperf } from "../load/iperf.ts";
import { ping } from "../load/ping.ts";
import { longestStall, rateBetween } from "../load/progress.ts";
import { Portals } from "../portals.ts";
import { type Demand, type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import { parseMiddlebox } from "../topology/middlebox.ts";
import { ADDRESS } from "../topology/names.ts";

const LINK = "rate=20mbit,delay=10ms,live";
/** A round trip of 200 ms. */
const FAR_LINK = "rate=20mbit,delay=100ms,live";
const CHANGE_SECONDS = 3;
const SECONDS = { whole: 8, brief: 6 } as const;
const INTERVAL_SECONDS = 0.1;
const COUNT_FROM_SECONDS = 1.5;
const PORT = 5_211;
const SLACK_MS = 8_000;
/** Searches begin when a link is attached; over 20 ms they take 0.2 s. */
const SETTLE_LIMIT_MS = 4_000;
const LOOK_MS = 50;
/** Data of a ping that makes an IPv4 packet that both tunnel devices take, and no path of 1400 octets. */
const WHOLE_DATA = 1_400;
/** What 1400 octets on the way leave: UDP over IPv4, order, tag. */
const INNER_1400 = 1_349;
/** The Remote Portal's, which listens on IPv6 as well. */
const REMOTE_MAX = 1_429;
/** IPv6's header is so much longer. */
const IPV6_MORE = 20;

interface MtuCase {
  readonly name: string;
  readonly summary: string;
  readonly links: readonly string[];
  /** Rules of the first link's middlebox before the portals start. */
  readonly box?: string;
  /** What happens in mid-flow; absent: nothing. */
  readonly change?: (lab: Lab) => Promise<void>;
  /** Inner MTU at both portals over IPv4 when the flows start, and when they have ended. */
  readonly start: number;
  readonly end: number;
}

const SMALLER = "longer=any@1400,drop=icmp";
const shrink = (lab: Lab) => lab.middlebox(1, parseMiddlebox(SMALLER));

export const MTU_CASES: readonly MtuCase[] = [
  {
    name: "shrinks",
    summary: "the only path shrinks from 1500 to 1400 octets in mid-flow, no ICMP passes",
    ...{ links: [LINK], change: shrink, start: 1_449, end: INNER_1400 },
  },
  {
    name: "shrinks-far",
    summary: "as shrinks, with a round trip of 200 ms",
    ...{ links: [FAR_LINK], change: shrink, start: 1_449, end: INNER_1400 },
  },
  {
    name: "shrinks-one-of-two",
    summary: "one of two paths shrinks to 1400 octets in mid-flow, no ICMP passes",
    ...{ links: [LINK, LINK], change: shrink, start: 1_449, end: INNER_1400 },
  },
  {
    name: "device",
    summary: "the provider's device gets an MTU of 1400 in mid-flow, no ICMP passes",
    links: [LINK],
    change: async (lab) => {
      await lab.middlebox(1, parseMiddlebox("drop=icmp"));
      await lab.pathMtu(1, 1_400);
    },
    ...{ start: 1_449, end: INNER_1400 },
  },
  {
    name: "small",
    summary: "the only path carries 1400 octets from the beginning, no ICMP passes",
    ...{ links: [LINK], box: SMALLER, start: INNER_1400, end: INNER_1400 },
  },
  {
    name: "unlike",
    summary: "two paths, of 1500 and of 1400 octets",
    ...{ links: [LINK, `${LINK},mtu=1400`], start: INNER_1400, end: INNER_1400 },
  },
  {
    name: "unlike-narrow",
    summary: "two paths, of 1500 and of 1290 octets: the second takes what fits it",
    ...{ links: [LINK, `${LINK},mtu=1290`], start: 1_449, end: 1_449 },
  },
];

const DEMANDS: readonly Demand[] = [
  ["stall_ms", "<=", 2_000],
  ...[
    ...["tcp_survived", "start_as_wanted", "end_as_wanted", "raw"],
    ...["whole_up", "whole_down", "told_up", "told_down"],
  ].map((name): Demand => [name, "==", 1]),
];

export const mtu: readonly Experiment[] = MTU_CASES.map((one) => ({
  name: `mtu/${one.name}`,
  summary: one.summary,
  transport: "auto",
  demands: DEMANDS,
  run: (context) => withLab(context, one.links, (lab) => measure(lab, context, one)),
}));

async function measure(lab: Lab, context: Context, one: MtuCase): Promise<Figures> {
  if (one.box !== undefined) await lab.middlebox(1, parseMiddlebox(one.box));
  const portals = await Portals.up(lab, carriage(context));
  try {
    const less = context.family === 6 ? IPV6_MORE : 0;
    const seconds = context.brief ? SECONDS.brief : SECONDS.whole;
    const started = await settled(portals, one.start - less);
    const flows = Promise.all([
      flow(lab, "up", PORT, seconds),
      flow(lab, "down", PORT + 1, seconds),
    ]);
    await sleep(CHANGE_SECONDS * 1_000);
    if (one.change !== undefined) context.progress(`${one.name}: ${one.summary}`);
    await one.change?.(lab);
    const carried = await flows;
    const stalls = carried.map((each) => longestStall(each, COUNT_FROM_SECONDS) * 1_000);
    const survived = carried.every(
      (each) => each.error === null && rateBetween(each, seconds - 1, seconds) > 0,
    );
    const figures: Figures = {
      tcp_survived: survived ? 1 : 0,
      stall_ms: round(Math.max(...stalls), 0),
      stalls_ms: stalls.map((stall) => round(stall, 0)).join(" "),
      start_as_wanted: started ? 1 : 0,
      end_as_wanted: (await settled(portals, one.end - less)) ? 1 : 0,
      ...(await found(portals)),
      ...(await longPackets(lab, one.end - less)),
    };
    if (DEMANDS.some(([name]) => name !== "stall_ms" && figures[name] !== 1)) {
      await tell(context, portals);
    }
    return figures;
  } finally {
    await portals.down();
  }
}

function flow(lab: Lab, direction: FlowDirection, port: number, seconds: number) {
  return iperf(lab, {
    ...{ direction, port, seconds, omitSeconds: 0 },
    ...{ interval: INTERVAL_SECONDS, slackMs: SLACK_MS },
  });
}

/** Both portals' inner MTU becomes what is wanted. */
async function settled(portals: Portals, wanted: number): Promise<boolean> {
  const limit = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const [local, remote] = await Promise.all([
      innerMtu(portals, "local"),
      innerMtu(portals, "remote"),
    ]);
    if (local === wanted && remote === Math.min(wanted, REMOTE_MAX)) return true;
    if (performance.now() > limit) return false;
    await sleep(LOOK_MS);
  }
}

async function innerMtu(portals: Portals, side: "local" | "remote"): Promise<number> {
  const { peers } = await portals.status(side);
  return peers[0]?.innerMtu ?? 0;
}

/** What carries, and how long packets may be on each path, both portals'. */
async function found(portals: Portals): Promise<Record<string, number | string>> {
  const sides = await Promise.all([portals.status("local"), portals.status("remote")]);
  const links = sides.flatMap(({ peers }) => peers[0]?.links ?? []);
  const sizes = links.map(({ transports }) =>
    transports.map(({ transport, mtu: octets }) => `${transport} ${octets ?? "?"}`).join(", "),
  );
  return {
    raw: links.every(({ transport }) => transport === "raw") ? 1 : 0,
    carriers: links.map(({ transport }) => transport).join(" "),
    paths: sizes.join(" | "),
    inner_mtu: sides.map(({ peers }) => peers[0]?.innerMtu).join(" "),
  };
}

/** Pings that are too long for the path: with DF the sender is told and they are lost, without they arrive. */
async function longPackets(lab: Lab, inner: number): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  for (const [name, from, to] of [
    ["up", "client", ADDRESS.server(4)],
    ["down", "server", ADDRESS.client(4)],
  ] as const) {
    const base = { from, to, size: WHOLE_DATA, interval: 0.2 };
    const cut = await ping(lab, { ...base, count: 3, cut: true });
    figures[`whole_${name}`] = cut.answers.length === 3 ? 1 : 0;
    // The first that is too long is answered, and then the sender's kernel knows.
    await ping(lab, { ...base, count: 2, whole: true });
    const known = await lab.exec(from, "ip", ["route", "get", to]);
    const mtuOf = /mtu (\d+)/.exec(known.stdout)?.[1];
    const fits = inner >= WHOLE_DATA + 28;
    figures[`told_${name}`] = fits || Number(mtuOf) === inner ? 1 : 0;
  }
  return figures;
}

/** What was dropped, and the ends of the portals' logs. */
async function tell(context: Context, portals: Portals): Promise<void> {
  for (const side of ["local", "remote"] as const) {
    const { drops } = await portals.status(side);
    const counted = Object.entries(drops).filter(([, count]) => count > 0);
    const list = counted.map(([reason, count]) => `${reason} ${count}`).join(", ");
    context.progress(`the ${side} portal dropped: ${list || "nothing"}`);
    const lines = portals.log(side).trimEnd().split("\n").slice(-12);
    context.progress(`the ${side} portal's log:\n    ${lines.join("\n    ")}`);
  }
}
