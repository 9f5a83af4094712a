/**
 * UDP at ten times what the link carries, and small packets as fast as a sender can over a link without a
 * limit; beside it a ping, the control sockets, and the portals' memory.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Context, carriage, type Experiment, withLab } from "../../experiment.ts";
import { ping, quantile } from "../../load/ping.ts";
import { runDatagrams } from "../../load/processes.ts";
import { Portals } from "../../portals.ts";
import { type Demand, type Figures, round } from "../../result.ts";
import type { Lab } from "../../topology/lab.ts";
import { ADDRESS } from "../../topology/names.ts";
import { observe } from "./observed.ts";

const PORT = 6010;
const SECONDS = { brief: 5, full: 60 };
/** As often as it can be asked for: the first falls into the flood. */
const REKEY = "rekey_seconds = 5";
const REKEYED = /new keys are in use/g;
/** Of the flood when the pings that count begin. */
const SETTLE_MS = 1_000;
const PING_INTERVAL_SECONDS = 0.05;
const IDLE_PINGS = 20;

interface Flood {
  readonly name: string;
  readonly summary: string;
  readonly link: string;
  /** UDP payload. */
  readonly octets: number;
  readonly perSecond: number;
  readonly demands: readonly Demand[];
}

/** The arena, full of packets, is 69 MB. */
const ALIVE: readonly Demand[] = [
  ["rss_growth_mib", "<=", 100],
  ["status_ms_worst", "<=", 1_000],
  ["links_down", "<=", 0],
  ["rekeys", ">=", 1],
];

const FLOODS: readonly Flood[] = [
  {
    name: "overload/tenfold",
    summary: "ten times the rate of a link of 10 Mbit/s: memory, latency and control of the rest",
    ...{ link: "rate=10mbit,delay=10ms", octets: 1_000, perSecond: 12_200 },
    demands: [
      ...ALIVE,
      ["ping_added_ms_p95", "<=", 30],
      ["pings_lost_share", "<=", 0.05],
      ["delivered_mbit", ">=", 8.5],
    ],
  },
  {
    name: "overload/endless",
    summary: "small packets as fast as a sender can over a link without a limit",
    ...{ link: "", octets: 18, perSecond: 1_000_000 },
    demands: ALIVE,
  },
];

export const floods: readonly Experiment[] = FLOODS.map((flood) => ({
  ...flood,
  run: (context) => withLab(context, [flood.link], (lab) => measure(lab, context, flood)),
}));

async function measure(lab: Lab, context: Context, flood: Flood): Promise<Figures> {
  const portals = await Portals.up(lab, { ...carriage(context), peer: [REKEY] });
  const idle = quantile((await pings(lab, IDLE_PINGS)).times, 0.5);
  const seconds = context.brief ? SECONDS.brief : SECONDS.full;
  context.progress(`${flood.name}: ${seconds} s`);
  const count = Math.floor((seconds * 1_000 - SETTLE_MS) / (PING_INTERVAL_SECONDS * 1_000));
  const work = Promise.all([
    runDatagrams(lab, { ...flow(flood), count: flood.perSecond * seconds, seconds }),
    sleep(SETTLE_MS).then(() => pings(lab, count)),
  ]);
  const { result, seen } = await observe(portals, work);
  const [received, { times, answers }] = result;
  const { drops } = await portals.status("local");
  await portals.down();
  return {
    ping_added_ms_p95: round(quantile(times, 0.95) - idle, 1),
    ping_worst_ms: round(Math.max(...times), 1),
    pings_lost_share: round(1 - new Set(answers).size / count),
    delivered_mbit: round((received.received * (flood.octets + 28) * 8) / seconds / 1e6, 1),
    delivered_per_second: Math.round(received.received / seconds),
    status_ms_worst: round(seen.statusMs, 0),
    rss_growth_mib: round(seen.rssMost - seen.rssFirst, 1),
    rss_growth_late_mib: round(seen.rssLate, 1),
    queue_packets_most: seen.queuePackets,
    links_down: seen.linksDown,
    rekeys: portals.log("local").match(REKEYED)?.length ?? 0,
    overflowed: drops["queueOverflow"] ?? 0,
    dropped: (drops["queueDropped"] ?? 0) + (drops["queueTooLate"] ?? 0),
  };
}

function flow({ octets, perSecond }: Flood) {
  return {
    ...({ kind: "udp", number: PORT, from: "client", to: "server" } as const),
    ...{ source: ADDRESS.client(4), target: ADDRESS.server(4), octets, perSecond },
  };
}

function pings(lab: Lab, count: number) {
  const to = ADDRESS.server(4);
  return ping(lab, { from: "client", to, count, interval: PING_INTERVAL_SECONDS });
}
