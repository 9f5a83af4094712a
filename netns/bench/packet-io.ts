/**
 * Packets a second out and in by this project's addon and by npm packages that do the same, over one
 * veth between two namespaces: what a back-end costs, not what a tunnel does. Every sender and receiver
 * is a process of its own on a core of its own where there are two. The cases of a round follow one
 * another back-end by back-end; figures are medians over rounds.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { MpfwdError } from "../../src/core/errors.ts";
import type { Child } from "../command.ts";
import type { Role } from "../topology/names.ts";
import type { BackendName, End, Report, Setup } from "./packet-io-backend.ts";
import {
  arrivals,
  buildNetwork,
  countArrivals,
  type PacketIoNetwork,
} from "./packet-io-network.ts";
import type { ComparedPackage } from "./packet-io-packages.ts";
import { type Spread, spread } from "./throughput.ts";

export type PacketDirection = "out" | "in";

export interface PacketIoOptions {
  /** Of load in each case, at least 1. */
  readonly seconds: number;
  readonly rounds: number;
  readonly packages: readonly ComparedPackage[];
  /** Of an IP packet as it is on the wire. */
  readonly octets: readonly number[];
  readonly progress: (text: string) => void;
}

export interface PacketIoRow {
  readonly backend: BackendName;
  readonly direction: PacketDirection;
  readonly octets: number;
  readonly packetsPerSecond: Spread;
  /** CPU seconds of the back-end's process, user and system, for a million packets. */
  readonly cpuPerMillion: Spread;
  /** Of that, hashing; null: no tags. */
  readonly hmacPerMillion: Spread | null;
  /** Packets a second that arrived for the receiver; null for a sender. */
  readonly offeredPerSecond: Spread | null;
  /** A receiver took what was offered and would take more: its rate is the load's, not its own. */
  readonly atLeast: boolean;
  /** Share of the packets sent (out) or offered (in) that did not arrive, 0 to 1. */
  readonly lost: Spread;
}

interface Case {
  readonly backend: BackendName;
  readonly direction: PacketDirection;
  readonly octets: number;
}

interface Sample extends Case {
  readonly report: Report;
  readonly offered: number | null;
  readonly lost: number;
}

const PROCESS = fileURLToPath(new URL("./packet-io-process.js", import.meta.url));
const START_LIMIT_MS = 10_000;
/** On top of the seconds a process sends. */
const END_LIMIT_MS = 10_000;
/** From the end of the load until the receiver is asked: the rest is in its buffers by then. */
const SETTLE_MS = 200;
/** A receiver that loses less than this was not loaded above what it takes. */
const OVERLOAD_LOST = 0.01;

/** The packages must be compiled. */
export async function measurePacketIo(options: PacketIoOptions): Promise<PacketIoRow[]> {
  const cases = casesOf(options);
  const network = await buildNetwork();
  const stop = () => void network.lab.down().finally(() => process.exit(130));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const samples: Sample[] = [];
  try {
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const one of cases) {
        const what = `${one.octets} octets, ${one.direction}, ${one.backend}`;
        options.progress(`round ${round} of ${options.rounds}: ${what}`);
        const measure = one.direction === "out" ? measureOut : measureIn;
        samples.push(await measure(network, one, options.seconds));
      }
    }
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
    await network.lab.down();
  }
  return cases.map((one) => row(one, samples));
}

function casesOf({ octets, packages }: PacketIoOptions): Case[] {
  const backends: readonly BackendName[] = ["mpfwd-hmac", "mpfwd", ...packages];
  return octets.flatMap((length) =>
    (["out", "in"] as const).flatMap((direction) =>
      backends.map((backend) => ({ backend, direction, octets: length })),
    ),
  );
}

async function measureOut(network: PacketIoNetwork, one: Case, seconds: number): Promise<Sample> {
  await countArrivals(network.lab, "drop");
  const report = await send(network, "lp", one, seconds, CORES.first);
  const arrived = await arrivals(network.lab);
  return { ...one, report, offered: null, lost: 1 - arrived / report.packets };
}

/**
 * What arrives for a receiver that takes any octets is multiplied; a receiver of sealed packets takes
 * each but once, so that its load is what one core can seal and send.
 */
async function measureIn(network: PacketIoNetwork, one: Case, seconds: number): Promise<Sample> {
  const { lab, near, far } = network;
  // What cap has captured nobody else waits for; a socket gets its packets behind this chain.
  await countArrivals(lab, one.backend === "cap" ? "drop" : "accept");
  const setup: Setup = { ...one, task: "receive", seconds, local: far, remote: near };
  const receiver = lab.spawn("isp1", ...command(setup, CORES.first));
  await receiver.saw("ready", START_LIMIT_MS);
  const sealed = one.backend === "mpfwd-hmac";
  const load: Case = { ...one, backend: sealed ? "mpfwd-hmac" : "mpfwd" };
  const sent = await send(network, sealed ? "lp" : "client", load, seconds, CORES.last);
  await sleep(SETTLE_MS);
  const report = await reportOf(receiver);
  const arrived = await arrivals(lab);
  const offered = (arrived / sent.packets) * sent.packetsPerSecond;
  return { ...one, report, offered, lost: 1 - report.packets / arrived };
}

async function send(
  { lab, client, near, far }: PacketIoNetwork,
  role: Extract<Role, "client" | "lp">,
  { backend, octets }: Case,
  seconds: number,
  core: number | null,
): Promise<Report> {
  const local: End = role === "lp" ? near : client;
  const setup: Setup = { task: "send", backend, octets, seconds, local, remote: far };
  const limitMs = seconds * 1000 + END_LIMIT_MS;
  const { stdout } = await lab.exec(role, ...command(setup, core), { limitMs });
  return JSON.parse(stdout) as Report;
}

async function reportOf(receiver: Child): Promise<Report> {
  receiver.write("");
  const limit = setTimeout(() => void receiver.end(), END_LIMIT_MS);
  const { code, stdout, stderr } = await receiver.done.finally(() => clearTimeout(limit));
  if (code !== 0) throw new MpfwdError("ERR_HOST", `the receiver failed (${code}): ${stderr}`);
  return JSON.parse(stdout.slice(stdout.indexOf("{"))) as Report;
}

function command(setup: Setup, core: number | null): [string, string[]] {
  const node = [process.execPath, "--enable-source-maps", PROCESS, JSON.stringify(setup)];
  const [first = "", ...rest] = core === null ? node : ["taskset", "-c", `${core}`, ...node];
  return [first, rest];
}

/** The back-end under test runs on the first core, the load on the last; null where there is but one. */
const CORES = coresOf(readFileSync("/proc/self/status", "utf8"));

/** "Cpus_allowed_list:\t0-1,4" (proc(5)). */
function coresOf(status: string): { readonly first: number | null; readonly last: number | null } {
  const [, list = ""] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? [];
  const numbers = (list.match(/\d+/g) ?? []).map(Number);
  const [first = null, last = null] = [numbers[0], numbers.at(-1)];
  return first === last ? { first: null, last: null } : { first, last };
}

function row(one: Case, samples: readonly Sample[]): PacketIoRow {
  const own = samples.filter(
    ({ backend, direction, octets }) =>
      backend === one.backend && direction === one.direction && octets === one.octets,
  );
  const known = (values: readonly (number | null)[]) => values.flatMap((value) => value ?? []);
  const orNull = (values: readonly number[]) => (values.length > 0 ? spread(values) : null);
  const lost = spread(own.map((sample) => sample.lost));
  return {
    ...one,
    packetsPerSecond: spread(own.map(({ report }) => report.packetsPerSecond)),
    cpuPerMillion: spread(own.map(({ report }) => report.cpuPerMillion)),
    hmacPerMillion: orNull(known(own.map(({ report }) => report.hmacPerMillion))),
    offeredPerSecond: orNull(known(own.map(({ offered }) => offered))),
    atLeast: one.direction === "in" && lost.median < OVERLOAD_LOST,
    lost,
  };
}
