/** TCP flows by iperf3 between two namespaces of a lab, and what became of them. */
import { MpfwdError } from "../../src/core/errors.ts";
import type { Lab } from "../topology/lab.ts";
import { ADDRESS, type Family, type Role } from "../topology/names.ts";
import { monotonicMs } from "./arrivals.ts";
import { type Sender, senderControl } from "./congestion.ts";

/** `up`: the client sends to the server. */
export type FlowDirection = "up" | "down";

export interface FlowOptions {
  readonly direction: FlowDirection;
  readonly seconds: number;
  /** Seconds at the beginning that do not count; default 2: slow start. */
  readonly omitSeconds?: number;
  /** Default 4. */
  readonly family?: Family;
  /** Parallel flows; default 1. */
  readonly flows?: number;
  /** The sender's congestion control; default cubic where the kernel has it. */
  readonly sender?: Sender;
  /** TCP payload of a segment; default: as the MTU allows. */
  readonly mss?: number;
  /** Bits per second that the sender paces each flow to; default: as fast as TCP goes. */
  readonly pace?: number;
  /** A second flow at the same time needs another port. */
  readonly port?: number;
  /** Length of the intervals in seconds; default 1. */
  readonly interval?: number;
  /** Milliseconds beyond its time after which a flow that hangs is given up; default 60 000. */
  readonly slackMs?: number;
  /** Where the client runs and the server; default client and server. */
  readonly from?: Role;
  readonly to?: Role;
  /** Address that the client connects to, and its own; default the server's, any. */
  readonly target?: string;
  readonly source?: string;
}

export interface Flow {
  /** What the receiver got, bits per second, without the omitted beginning. */
  readonly rate: number;
  /** Bits per second at the receiver in each interval, the omitted ones included. */
  readonly intervals: readonly { readonly end: number; readonly rate: number }[];
  readonly retransmits: number;
  /** The sender's congestion control. */
  readonly control: string;
  /** Why the flow broke off; null when it did not. */
  readonly error: string | null;
  /** When the program was started, on the monotonic clock: some 50 ms before the first octet. */
  readonly startedMs: number;
}

const PORT = 5201;
const OMIT_SECONDS = 2;
const SERVER_START_MS = 5_000;
/** Beyond the time that was asked for: connecting, closing, the exchange of results behind a full queue. */
const SLACK_MS = 60_000;

interface Interval {
  readonly sum: {
    readonly end: number;
    readonly bits_per_second: number;
    readonly omitted: boolean;
  };
}

interface Report {
  readonly error?: string;
  readonly intervals?: readonly Interval[];
  readonly end?: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum_sent?: { readonly retransmits?: number };
    readonly sender_tcp_congestion?: string;
  };
  readonly server_output_json?: Report;
}

const NOTHING = { rate: 0, intervals: [], retransmits: 0, control: "unknown", error: null };

/** Runs one load to its end. A flow that breaks off is a result, not an exception. */
export function iperf(lab: Lab, options: FlowOptions): Promise<Flow> {
  const { direction, pace, from = "client", to = "server", family = 4 } = options;
  if (direction === "up" || pace === undefined) return run(lab, options);
  // Who serves does not pace what he sends: the sender connects.
  const { source, ...others } = options;
  const target = source ?? ADDRESS.client(family);
  return run(lab, { ...others, direction: "up", from: to, to: from, target });
}

async function run(lab: Lab, options: FlowOptions): Promise<Flow> {
  const { from = "client", to = "server", port = PORT, seconds, interval = 1 } = options;
  const omit = options.omitSeconds ?? OMIT_SECONDS;
  const args = await clientArguments(options, omit, port);
  const serve = ["-s", "-1", "-J", "-p", `${port}`, "-i", `${interval}`];
  const server = lab.spawn(to, "iperf3", serve);
  await listening(lab, to, port);
  const startedMs = monotonicMs();
  try {
    const { stdout } = await lab.exec(from, "iperf3", args, {
      mayFail: true,
      limitMs: (seconds + omit) * 1_000 + (options.slackMs ?? SLACK_MS),
    });
    return { ...readReport(stdout, options.direction), startedMs };
  } catch (error) {
    if (!(error instanceof MpfwdError)) throw error;
    return { ...NOTHING, error: error.message, startedMs };
  } finally {
    await server.end();
  }
}

/** Both directions at the same time. */
export async function iperfBoth(
  lab: Lab,
  options: Omit<FlowOptions, "direction">,
): Promise<Record<FlowDirection, Flow>> {
  const [up, down] = await Promise.all([
    iperf(lab, { ...options, direction: "up", port: PORT }),
    iperf(lab, { ...options, direction: "down", port: PORT + 1 }),
  ]);
  return { up, down };
}

async function clientArguments(o: FlowOptions, omit: number, port: number): Promise<string[]> {
  return [
    ...["-c", o.target ?? ADDRESS.server(o.family ?? 4)],
    ...(o.source === undefined ? [] : ["-B", o.source]),
    ...["-p", `${port}`, "-t", `${o.seconds}`, "-O", `${omit}`, "-i", `${o.interval ?? 1}`],
    ...["-C", await senderControl(o.sender), "-P", `${o.flows ?? 1}`, "-J", "--get-server-output"],
    ...(o.mss === undefined ? [] : ["-M", `${o.mss}`]),
    ...(o.pace === undefined ? [] : ["--fq-rate", `${o.pace}`]),
    ...(o.direction === "down" ? ["-R"] : []),
  ];
}

/** With -J the server prints nothing before the end, so its socket is looked for. */
async function listening(lab: Lab, role: Role, port: number): Promise<void> {
  const limit = performance.now() + SERVER_START_MS;
  for (;;) {
    const { stdout } = await lab.exec(role, "ss", ["-Hltn", `sport = :${port}`]);
    if (stdout.trim() !== "") return;
    if (performance.now() > limit) throw new MpfwdError("ERR_HOST", "iperf3 -s does not start");
  }
}

function readReport(text: string, direction: FlowDirection): Omit<Flow, "startedMs"> {
  const report = parse(text);
  const received = direction === "up" ? report.server_output_json : report;
  const intervals = (received?.intervals ?? report.intervals ?? []).map(({ sum }) => ({
    end: sum.end,
    rate: sum.bits_per_second,
  }));
  return {
    rate: report.end?.sum_received?.bits_per_second ?? 0,
    intervals,
    retransmits: report.end?.sum_sent?.retransmits ?? 0,
    control: report.end?.sender_tcp_congestion ?? "unknown",
    error: report.error ?? null,
  };
}

function parse(text: string): Report {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return { error: `iperf3 said: ${text.slice(0, 200)}` };
  }
}
