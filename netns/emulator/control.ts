/**
 * Telling a running emulator what to do: one line of JSON each way over a Unix socket.
 *
 *   {"op":"set","direction":"up","change":{"cut":true}}  -> {"ok":true}
 *   {"op":"report"}                                                -> {"ok":true,"report":{"up":...}}
 */
import { connect, createServer, type Server } from "node:net";
import { createInterface } from "node:readline";
import { MpfwdError } from "../../src/core/errors.ts";
import type { Impairments } from "./impairments.ts";
import type { PathReport } from "./path.ts";

/** `up` is from the Local to the Remote Portal. */
export type Direction = "up" | "down";

export const DIRECTIONS: readonly Direction[] = ["up", "down"];

export interface EmulatorSetup {
  /** Path of the control socket. */
  readonly control: string;
  readonly seed: number;
  readonly up: Impairments;
  readonly down: Impairments;
}

/** The TUN device that takes the packets of a direction to the emulator and back. */
export function tunName(direction: Direction): string {
  return `emu-${direction}`;
}

export type EmulatorReport = Readonly<Record<Direction, PathReport>>;

export type EmulatorRequest =
  | {
      readonly op: "set";
      readonly direction: Direction;
      readonly change: Partial<Impairments>;
    }
  | { readonly op: "report" };

export interface EmulatorReply {
  readonly ok: boolean;
  readonly error?: string;
  readonly report?: EmulatorReport;
}

const REPLY_LIMIT_MS = 5_000;

export function serveControl(
  socketPath: string,
  answer: (request: EmulatorRequest) => EmulatorReply,
): Server {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    createInterface({ input: socket }).on("line", (line) => {
      socket.write(`${JSON.stringify(answerLine(line, answer))}\n`);
    });
  });
  return server.listen(socketPath);
}

/** @throws MpfwdError ERR_CONTROL when the emulator does not answer or refuses */
export async function askEmulator(
  socketPath: string,
  request: EmulatorRequest,
): Promise<EmulatorReply> {
  const reply = await new Promise<EmulatorReply>((resolve, reject) => {
    const socket = connect(socketPath);
    const fail = (why: string) => {
      socket.destroy();
      reject(new MpfwdError("ERR_CONTROL", `the emulator at ${socketPath}: ${why}`));
    };
    socket.setTimeout(REPLY_LIMIT_MS, () => fail("no answer"));
    socket.on("error", (error) => fail(error.message));
    createInterface({ input: socket }).on("line", (line) => {
      socket.destroy();
      resolve(JSON.parse(line) as EmulatorReply);
    });
    socket.write(`${JSON.stringify(request)}\n`);
  });
  if (reply.ok) return reply;
  throw new MpfwdError("ERR_CONTROL", `the emulator at ${socketPath}: ${reply.error ?? "refused"}`);
}

function answerLine(
  line: string,
  answer: (request: EmulatorRequest) => EmulatorReply,
): EmulatorReply {
  try {
    return answer(JSON.parse(line) as EmulatorRequest);
  } catch (error) {
    return { ok: false, error: String(error) };
  }
}
