/** The lab's own loads (`stream.ts`, `transfer.ts`) run between client and server. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { MpfwdError } from "../../src/core/errors.ts";
import type { Child } from "../command.ts";
import type { Lab } from "../topology/lab.ts";
import { ADDRESS, type Family, type Role } from "../topology/names.ts";
import type { DatagramsReceived } from "./datagrams.ts";
import type { FlowDirection } from "./iperf.ts";
import type { StreamReceived, StreamSent } from "./stream.ts";
import type { Transferred } from "./transfer.ts";

const STREAM = fileURLToPath(new URL("stream.js", import.meta.url));
const TRANSFER = fileURLToPath(new URL("transfer.js", import.meta.url));

const DATAGRAMS = fileURLToPath(new URL("datagrams.js", import.meta.url));

const STREAM_PORT = 6001;
const TRANSFER_PORT = 6002;
/** Sender and receiver. */
const ENDS = { up: ["client", "server"], down: ["server", "client"] } as const;
const BESIDE = ["client", "lp"] as const;
const START_MS = 5_000;
/** How long a stream's receiver waits for packets that are still on their way. */
const TAIL_SECONDS = 2;
/** How long plain packets may be on their way. */
const DATAGRAMS_TAIL_MS = 200;
/** A sender that is asked for more than the machine can do takes longer. */
const DATAGRAMS_LATE_MS = 30_000;

export interface StreamResult extends StreamSent, StreamReceived {
  readonly lost: number;
}

export interface StreamOptions {
  readonly perSecond: number;
  readonly seconds: number;
  readonly family?: Family;
  /** Default `up`: from client to server. */
  readonly direction?: FlowDirection;
  /** Instead: from the client to the Local Portal's machine, past the tunnel. */
  readonly besideTunnel?: boolean;
  /** Every arrival is wanted. */
  readonly trace?: boolean;
}

/** A steady UDP stream between client and server, to its end. */
export async function runStream(lab: Lab, options: StreamOptions): Promise<StreamResult> {
  const { perSecond, seconds, family = 4, direction = "up" } = options;
  const [from, to] = options.besideTunnel === true ? BESIDE : ENDS[direction];
  const address = to === "lp" ? ADDRESS.clientLan(family, 1) : ADDRESS[to](family);
  const trace = options.trace === true ? ["trace"] : [];
  const listen = ["receive", `${STREAM_PORT}`, `${seconds + TAIL_SECONDS}`, ...trace];
  const receiver = lab.spawn(to, process.execPath, [STREAM, ...listen]);
  await receiver.saw("listening", START_MS);
  const target = [address, `${STREAM_PORT}`, `${perSecond}`, `${seconds}`];
  const limitMs = (seconds + TAIL_SECONDS) * 1_000 + START_MS;
  const { stdout } = await lab.exec(from, process.execPath, [STREAM, "send", ...target], {
    limitMs,
  });
  const sent = JSON.parse(stdout) as StreamSent;
  const received = lastLine<StreamReceived>(receiver, (await receiver.done).stdout);
  return { ...sent, ...received, lost: sent.sent - received.received };
}

export interface DatagramOptions {
  readonly kind: "raw" | "udp";
  /** IP protocol of raw ones, port of UDP ones. */
  readonly number: number;
  readonly from: Role;
  readonly to: Role;
  /** Addresses of both ends, of one family. */
  readonly source: string;
  readonly target: string;
  readonly count: number;
  /** Behind the IP (and UDP) header. */
  readonly octets: number;
  readonly perSecond: number;
  /** The sender ends then, however many are left; default: when all are sent. */
  readonly seconds?: number;
}

/** Numbered packets of known content between any two namespaces, without a tunnel. */
export async function runDatagrams(lab: Lab, o: DatagramOptions): Promise<DatagramsReceived> {
  const listen = ["receive", o.kind, o.target, `${o.number}`];
  const receiver = lab.spawn(o.to, process.execPath, [DATAGRAMS, ...listen]);
  await receiver.saw("listening", START_MS);
  const way = [o.kind, o.source, `${o.number}`, o.target];
  const end = o.seconds === undefined ? [] : [o.seconds];
  const load = [o.count, o.octets, o.perSecond, ...end].map(String);
  const limitMs = (o.count / o.perSecond) * 1_000 + DATAGRAMS_LATE_MS;
  await lab.exec(o.from, process.execPath, [DATAGRAMS, "send", ...way, ...load], { limitMs });
  await sleep(DATAGRAMS_TAIL_MS);
  await receiver.end();
  return lastLine<DatagramsReceived>(receiver, receiver.stdout);
}

/** `bytes` octets from client to server. @throws MpfwdError when it does not end in `limitMs` */
export async function runTransfer(
  lab: Lab,
  options: { readonly bytes: number; readonly seed: number; readonly limitMs: number },
): Promise<{ readonly sent: Transferred; readonly received: Transferred }> {
  const receiver = lab.spawn("server", process.execPath, [TRANSFER, "receive", `${TRANSFER_PORT}`]);
  await receiver.saw("listening", START_MS);
  try {
    const target = [ADDRESS.server(4), `${TRANSFER_PORT}`, `${options.bytes}`, `${options.seed}`];
    const sender = await lab.exec("client", process.execPath, [TRANSFER, "send", ...target], {
      limitMs: options.limitMs,
    });
    const { stdout } = await receiver.done;
    const sent = JSON.parse(sender.stdout) as Transferred;
    return { sent, received: lastLine<Transferred>(receiver, stdout) };
  } finally {
    await receiver.end();
  }
}

function lastLine<T>(child: Child, stdout: string): T {
  const line = stdout.trim().split("\n").at(-1) ?? "";
  if (line.startsWith("{")) return JSON.parse(line) as T;
  throw new MpfwdError("ERR_HOST", `a receiver ended without a result: ${child.stderr}`);
}
