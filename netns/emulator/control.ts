/**
 * Telling a running emulator what to do: one line of JSON each way over a Unix socket.
 *
 *   {"op":"set","link":1,"direction":"up","change":{"cut":true}}   -> {"ok":true}
 *   {"op":"report"}                                                -> {"ok":true,"report":[...]}
 */
import { connect, createServer, type Server } from "node:net";
import { createInterface } from "node:readline";
import { MpfwdError } from "../../src/core/errors.ts";
import type { Impairments } from "./impairments.ts";
import type { PathReport } from "./path.ts";

export interface EmulatorSetup {
  /** Path of the control socket. */
  readonly control: string;
  readonly seed: number;
  readonly links: readonly {
    readonly link: number;
    readonly up: Impairments;
    readonly down: Impairments;
  }[];
}

/** Name of a TUN device before it is moved: unique in the process. */
export function tunName(link: number, direction: Direction): string {
  return `emu${link}${direction}`;
}

/** `up` is from the Local to the Remote Portal. */
export type Direction = "up" | "down";

export interface EmulatorReport {
  readonly link: number;
  readonly direction: Direction;
  readonly path: PathReport;
}

export type EmulatorRequest =
  | {
      readonly op: "set";
      readonly link: number;
      readonly direction: Direction;
      readonly change: Partial<Impairments>;
    }
  | { readonly op: "report" };

export interface EmulatorReply {
  readonly ok: boolean;
  readonly error?: string;
  readonly report?: readonly EmulatorReport[];
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
