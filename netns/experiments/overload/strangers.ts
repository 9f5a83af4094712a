/**
 * 10 000 packets a second of people who have no key, thrown at the Remote Portal past the link that carries the tunnel,
 * while a TCP flow fills that link: what the flow, the processor and connection tracking notice of it.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "../../../src/core/random.ts";
import { type Context, carriage, type Experiment, withLab } from "../../experiment.ts";
import { monotonicMs } from "../../load/arrivals.ts";
import { type Flow, iperf } from "../../load/iperf.ts";
import { rateBetween, secondsToShare } from "../../load/progress.ts";
import { elsewhere, type Known, STRANGERS, strangersPackets } from "../../load/strangers.ts";
import { cpuSeconds } from "../../load/usage.ts";
import { Portals } from "../../portals.ts";
import { type Figures, round } from "../../result.ts";
import type { Lab } from "../../topology/lab.ts";
import { outerPackets } from "../ladder/attacks.ts";

const TUNNEL = "rate=20mbit,delay=10ms";
/** The attackers' way: the Remote Portal has the same address by every link. */
const TUNNEL_LINK = 1;
const ATTACK_LINK = 2;
const PER_SECOND = 10_000;
/** Different packets; they come again and again. */
const PACKETS = 8_192;
const CONTROL_PACKETS = 500;
/** The attacker's program starts within the tail. */
const SECONDS = {
  full: { lead: 4, flood: 5, tail: 4 },
  brief: { lead: 3, flood: 2, tail: 3 },
} as const;
/** Slow start does not count as what was before. */
const SETTLE_SECONDS = 1;
const RECOVERED = 0.9;
/** A portal looks once a second whether connections are tracked. */
const TRACKING_SEEN_MS = 1_500;
/** After the attack, and not before: by then all that runs often is compiled. */
const CALM_MS = 1_000;
const ATTACK_START_MS = 5_000;
const LOOK_MS = 50;

/** Makes the kernel track connections, and counts what comes from strangers and what they are answered. */
const WATCH = `table inet strangers {
  counter arrived { }
  counter answered { }
  chain prerouting {
    type filter hook prerouting priority raw
    ip saddr ${STRANGERS} counter name arrived
  }
  chain input {
    type filter hook input priority filter
    ct state new counter
  }
  chain output {
    type filter hook output priority filter
    ip daddr ${STRANGERS} counter name answered
  }
}
`;

export const strangers: Experiment = {
  name: "overload/strangers",
  summary: "10 000 packets/s of people without a key: the flow, the processor, connection tracking",
  demands: [
    ["arrived_per_second", ">=", 8_000],
    ["goodput_kept", ">=", 0.8],
    ["cpu_added", "<=", 0.25],
    ["conntrack_grown", "<=", 20],
    ["conntrack_grown_control", ">=", 400],
    ["answered", "<=", 0],
    ["recovery_s", "<=", 2],
    ["downs", "<=", 0],
    ["tcp_survived", "==", 1],
  ],
  run: (context) => withLab(context, [TUNNEL, ""], (lab) => measure(lab, context)),
};

async function measure(lab: Lab, context: Context): Promise<Figures> {
  await lab.exec("rp", "nft", ["-f", "-"], { input: WATCH });
  const options = { ...carriage(context), family: 4, links: [TUNNEL_LINK] } as const;
  const portals = await Portals.up(lab, options);
  try {
    const { lead, flood, tail } = context.brief ? SECONDS.brief : SECONDS.full;
    await sleep(TRACKING_SEEN_MS);
    const [direction = "up"] = context.directions ?? [];
    const seconds = lead + flood + tail;
    const flow = iperf(lab, { direction, seconds, omitSeconds: 0, interval: 0.1 });
    const packets = outerPackets(lab, 4).then((seen) =>
      strangersPackets(PACKETS, new SeededRandom(context.seed), known(portals, seen)),
    );
    await sleep(lead * 1_000);
    context.progress(`${flood} s of ${PER_SECOND} packets/s`);
    const attack = await flooded(lab, portals, await packets, flood);
    const calm = await cpuShare(portals, CALM_MS);
    return {
      ...attack.figures,
      cpu_calm: round(calm),
      cpu_added: round(attack.cpu - calm),
      ...flowFigures(await flow, attack, lead),
      conntrack_grown_control: await grownElsewhere(lab, context.seed),
    };
  } finally {
    await portals.down();
  }
}

function flowFigures(
  flow: Flow,
  { fromMs, overMs }: { readonly fromMs: number; readonly overMs: number },
  lead: number,
): Figures {
  const at = (ms: number) => (ms - flow.startedMs) / 1_000;
  const before = rateBetween(flow, SETTLE_SECONDS, lead);
  const last = flow.intervals.at(-1)?.end ?? 0;
  const recovery = secondsToShare(flow, at(overMs), RECOVERED * before);
  return {
    before_mbit: round(before / 1e6, 1),
    goodput_kept: round(rateBetween(flow, at(fromMs), at(overMs)) / before),
    recovery_s: recovery === null ? null : round(recovery, 1),
    tcp_survived: flow.error === null && rateBetween(flow, last - 1, last) > 0 ? 1 : 0,
  };
}

/** Connections that packets to numbers add which nobody guards: they show that connections are tracked. */
async function grownElsewhere(lab: Lab, seed: number): Promise<number> {
  const before = await lab.connections("rp");
  await lab.forge(ATTACK_LINK, elsewhere(CONTROL_PACKETS, new SeededRandom(seed)));
  return (await lab.connections("rp")) - before;
}

/** What an attacker at the provider reads. */
function known(portals: Portals, packets: readonly Buffer[]): Known {
  const [, id = ""] =
    /client_id = "([0-9a-f]+)"/.exec(readFileSync(portals.file("local"), "utf8")) ?? [];
  return { clientId: Buffer.from(id, "hex"), packets };
}

/** Share of a core that the Remote Portal has in a while. */
async function cpuShare(portals: Portals, ms: number): Promise<number> {
  const [beganMs, began] = [monotonicMs(), cpuSeconds(portals.pid("remote"))];
  await sleep(ms);
  return ((cpuSeconds(portals.pid("remote")) - began) * 1_000) / (monotonicMs() - beganMs);
}

async function flooded(lab: Lab, portals: Portals, packets: readonly Buffer[], seconds: number) {
  const tracked = await lab.connections("rp");
  const dropped = await refused(portals);
  const attack = lab.forge(ATTACK_LINK, packets, { perSecond: PER_SECOND, seconds });
  await Promise.race([arrived(lab), attack]);
  const fromMs = monotonicMs();
  const [cpu] = await Promise.all([cpuShare(portals, seconds * 1_000), attack]);
  const overMs = monotonicMs();
  const { peers } = await portals.status("local");
  const figures = {
    arrived_per_second: Math.round((await counted(lab, "arrived")) / seconds),
    refused_by_portal: (await refused(portals)) - dropped,
    answered: await counted(lab, "answered"),
    conntrack_grown: (await lab.connections("rp")) - tracked,
    downs: peers.flatMap(({ links }) => links).reduce((sum, { downs }) => sum + downs, 0),
  };
  return { cpu, fromMs, overMs, figures };
}

/** Waits for the first packet of the attack. */
async function arrived(lab: Lab): Promise<void> {
  const limitMs = monotonicMs() + ATTACK_START_MS;
  while ((await counted(lab, "arrived")) === 0 && monotonicMs() < limitMs) await sleep(LOOK_MS);
}

async function counted(lab: Lab, name: string): Promise<number> {
  const { stdout } = await lab.exec("rp", "nft", ["list", "counters"]);
  const [, packets] = new RegExp(`${name} \\{\\s*packets (\\d+)`).exec(stdout) ?? [];
  return Number(packets);
}

/** What the Remote Portal itself has dropped; the filters of its sockets spare it the rest. */
async function refused(portals: Portals): Promise<number> {
  const { drops } = await portals.status("remote");
  return Object.values(drops).reduce((sum, count) => sum + count, 0);
}
