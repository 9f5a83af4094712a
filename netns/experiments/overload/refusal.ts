/**
 * A machine that will not send: a firewall that refuses raw packets, which costs the link another transport and
 * nothing else; a device whose queue is shorter than a window, which costs nothing but the wait.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_PROTOCOL } from "../../../src/portal/config.ts";
import { type Context, carriage, type Experiment, withLab } from "../../experiment.ts";
import { iperf } from "../../load/iperf.ts";
import { runStream } from "../../load/processes.ts";
import { Portals } from "../../portals.ts";
import { type Figures, round } from "../../result.ts";
import type { Lab } from "../../topology/lab.ts";
import { observe } from "./observed.ts";

const REFUSE = `
table inet refuse {
  chain out {
    type filter hook output priority 0;
    ip protocol ${DEFAULT_PROTOCOL} drop
  }
}
`;
const STREAM = { perSecond: 200, seconds: 3 };
const REFUSE_AFTER_MS = 1_000;
/** 5 ms of a queue at the device itself: less than what a link has under way. */
const BUCKET = "tbf rate 20mbit burst 3200 limit 15700";
const BUCKET_MBIT = 20;
const FLOW_SECONDS = { brief: 3, full: 15 };

export const refusals: readonly Experiment[] = [
  {
    name: "overload/refused",
    summary:
      "a firewall on the Local Portal refuses raw packets: the link goes by UDP, and is told once",
    transport: "auto",
    demands: [
      ["switched", "==", 1],
      ["told", "==", 1],
      ["gap_ms", "<=", 500],
    ],
    run: (context) => withLab(context, ["delay=5ms"], (lab) => refused(lab, context)),
  },
  {
    name: "overload/full-device",
    summary: "a device whose queue is 5 ms long: a flow takes its whole rate, nothing is dropped",
    // A bucket cuts what UDP joins, and does not say which pieces it has dropped.
    transport: "raw",
    demands: [
      ["share_of_rate", ">=", 0.85],
      ["send_drops", "<=", 0],
      ["links_down", "<=", 0],
    ],
    run: (context) => withLab(context, ["delay=5ms"], (lab) => fullDevice(lab, context)),
  },
];

async function refused(lab: Lab, context: Context): Promise<Figures> {
  context.progress("a stream, refused in the middle");
  const portals = await Portals.up(lab, { transport: "auto" });
  const work = Promise.all([
    runStream(lab, STREAM),
    sleep(REFUSE_AFTER_MS).then(() => lab.exec("lp", "nft", ["-f", "-"], { input: REFUSE })),
  ]);
  const { result, seen } = await observe(portals, work);
  const [stream] = result;
  const { peers, drops } = await portals.status("local");
  await portals.down();
  const told = portals.log("local").match(/cannot send by raw: .*\(EPERM\)/g) ?? [];
  return {
    switched: peers[0]?.links[0]?.transport === "udp" ? 1 : 0,
    told: told.length,
    gap_ms: round(stream.gapMs, 1),
    lost: stream.lost,
    refused: drops["sendRefused"] ?? 0,
    links_down: seen.linksDown,
  };
}

async function fullDevice(lab: Lab, context: Context): Promise<Figures> {
  context.progress("a flow through a short device queue");
  await lab.exec("lp", "tc", `qdisc replace dev wan1 root ${BUCKET}`.split(" "));
  const portals = await Portals.up(lab, { ...carriage(context), transport: "raw" });
  const seconds = context.brief ? FLOW_SECONDS.brief : FLOW_SECONDS.full;
  const { result, seen } = await observe(portals, iperf(lab, { direction: "up", seconds }));
  const { drops } = await portals.status("local");
  const { stdout } = await lab.exec("lp", "tc", ["-s", "qdisc", "show", "dev", "wan1"]);
  await portals.down();
  return {
    mbit: round(result.rate / 1e6, 2),
    share_of_rate: round(result.rate / 1e6 / BUCKET_MBIT),
    send_drops: (drops["sendNoBuffers"] ?? 0) + (drops["sendOtherError"] ?? 0),
    refused_by_device: Number(/dropped (\d+)/.exec(stdout)?.[1] ?? Number.NaN),
    retransmits: result.retransmits,
    links_down: seen.linksDown,
  };
}
