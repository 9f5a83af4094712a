/** Carries a lab's plan out: namespaces, cables, addresses, rates, translation, emulator. */
import { fileURLToPath } from "node:url";
import { run } from "../command.ts";
import type { EmulatorSetup } from "../emulator/control.ts";
import type { Lab } from "./lab.ts";
import { ADDRESS, type Role } from "./names.ts";
import { emulatorLines, ispOf, type Plan, planLab } from "./plan.ts";

export interface BuildOptions {
  /** Link devices keep their segmentation offloads, as no wire does. */
  readonly superPackets: boolean;
  /** Seed of the emulator's chance. */
  readonly seed: number;
}

const EMULATOR = fileURLToPath(new URL("../emulator/main.js", import.meta.url));
const EMULATOR_START_MS = 10_000;
const SETTLE_LIMIT_SECONDS = 5;

/** Addresses at once, no filters, and no memory of earlier connections in new ones. */
const SYSCTLS = `net.ipv4.ip_forward=1
net.ipv4.conf.all.rp_filter=0
net.ipv4.conf.default.rp_filter=0
net.ipv4.tcp_no_metrics_save=1
net.ipv6.conf.all.forwarding=1
net.ipv6.conf.default.forwarding=1
net.ipv6.conf.all.accept_dad=0
net.ipv6.conf.default.accept_dad=0
`;

/** What a wire does not do for its sender. Checksums stay: real devices compute them. */
const WIRE_FEATURES = ["tso", "gso", "gro", "tx-udp-segmentation", "tx-gso-list"];

export async function build(lab: Lab, options: BuildOptions): Promise<void> {
  const plan = planLab(lab.id, lab.links, lab.netem);
  await ipBatch(
    lab,
    plan.roles.map((role) => `netns add ${lab.namespace(role)}`),
  );
  await each(plan.roles, (role) => lab.exec(role, "sysctl", ["-q", "-p", "-"], { input: SYSCTLS }));
  await ipBatch(lab, plan.cables);
  if (!options.superPackets) await makeWires(lab);
  for (const [role, lines] of plan.ip) await ipBatchIn(lab, role, lines);
  await shape(lab, plan);
  await startEmulators(lab, options.seed);
  await settle(lab);
}

/** Tries it in a namespace of its own, since no list of modules tells what the kernel has built in. */
export async function hasNetem(): Promise<boolean> {
  const netem = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"];
  return (await run("unshare", ["--net", ...netem], { mayFail: true })).code === 0;
}

/** `ip -batch` in the namespace of `role`; lines that begin with -6 go to `ip -6`, afterwards. */
export async function ipBatchIn(lab: Lab, role: Role, lines: readonly string[]): Promise<void> {
  const isV6 = (line: string) => line.startsWith("-6 ");
  const v6 = lines.filter(isV6).map((line) => line.slice("-6 ".length));
  const where = ["-netns", lab.namespace(role)];
  await ipBatch(
    lab,
    lines.filter((line) => !isV6(line)),
    where,
  );
  if (v6.length > 0) await ipBatch(lab, v6, ["-6", ...where]);
}

async function ipBatch(
  lab: Lab,
  lines: readonly string[],
  where: readonly string[] = [],
): Promise<void> {
  await lab.children.run("ip", [...where, "-batch", "-"], { input: text(lines) });
}

async function makeWires(lab: Lab): Promise<void> {
  const ends = lab.links.flatMap(({ neighbour }, index): [Role, string][] => {
    const [device, isp] = [`wan${index + 1}`, ispOf(index + 1)];
    const own: [Role, string][] = [
      ["lp", device],
      ["rp", device],
      [isp, "lp"],
      [isp, "rp"],
    ];
    return neighbour ? [...own, ["lp2", device], [isp, "lp2"]] : own;
  });
  await each(ends, ([role, device]) => makeWire(lab, role, device));
}

/** Takes from one end of a cable what a wire does not do. */
export async function makeWire(lab: Lab, role: Role, device: string): Promise<void> {
  const off = WIRE_FEATURES.flatMap((feature) => [feature, "off"]);
  await lab.exec(role, "ethtool", ["-K", device, ...off]);
}

async function shape(lab: Lab, plan: Plan): Promise<void> {
  for (const [role, lines] of plan.tc) {
    await lab.children.run("tc", ["-netns", lab.namespace(role), "-batch", "-"], {
      input: text(lines),
    });
  }
  for (const [role, rules] of plan.nft) await lab.exec(role, "nft", ["-f", "-"], { input: rules });
}

/** One process a provider: one for all links filled one core at half of 4 x 100 Mbit/s both ways. */
async function startEmulators(lab: Lab, seed: number): Promise<void> {
  await each(lab.emulated, async ({ link, options }) => {
    const setup: EmulatorSetup = {
      control: lab.controlPath(link),
      seed: seed + link,
      up: options.up.impairments,
      down: options.down.impairments,
    };
    const emulator = lab.spawn(ispOf(link), process.execPath, [EMULATOR, JSON.stringify(setup)]);
    await emulator.saw("ready", EMULATOR_START_MS);
    await ipBatchIn(lab, ispOf(link), emulatorLines(options));
  });
}

/**
 * IPv6 waits up to a second for the kernel's word that a cable is plugged in; one packet over each
 * cable waits for it here, and not in the first figures of an experiment.
 */
async function settle(lab: Lab): Promise<void> {
  const cables = lab.links.flatMap(({ neighbour }, index): [Role, string][] => {
    const link = index + 1;
    const ends: [Role, string][] = [
      ["lp", ADDRESS.access(6, link, 1)],
      ["rp", ADDRESS.transit(6, link, 1)],
    ];
    return neighbour ? [...ends, ["lp2", ADDRESS.neighbour(6, link, 1)]] : ends;
  });
  cables.push(["client", ADDRESS.clientLan(6, 1)], ["server", ADDRESS.serverLan(6, 1)]);
  const limit = ["-c", "1", "-W", `${SETTLE_LIMIT_SECONDS}`];
  await each(cables, ([role, address]) => lab.exec(role, "ping", ["-q", ...limit, address]));
}

async function each<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  await Promise.all(items.map(act));
}

const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");
