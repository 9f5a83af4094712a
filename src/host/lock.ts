/**
 * One instance per name: a unix socket that only one process can be bound to, and that a killed
 * process lets go of. An abstract name belongs to a network namespace, as the TUN device does; a
 * path guards the state directory, which namespaces may share. Whoever connects is told the pid.
 */
import { readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { MpfwdError } from "../core/errors.ts";

/** `sun_path` of unix(7), where a path ends with a zero octet. */
export const SOCKET_PATH_MAX = 107;
const SUN_PATH_OCTETS = 108;
const ABSTRACT = "mpfwd/";
const ANSWER_TIMEOUT_MS = 1000;
const ANSWER_OCTETS_MAX = 32;

export interface Lock {
  release(): Promise<void>;
}

/** Full length, because a name that is not is padded by some versions of Node and not by others. */
export function abstractName(name: string): string {
  return `\0${ABSTRACT}${name}`.padEnd(SUN_PATH_OCTETS, "\0");
}

/**
 * @param address - from `abstractName`, or the path of a socket file
 * @throws MpfwdError ERR_IN_USE naming the pid of the holder
 */
export async function takeLock(address: string, what: string): Promise<Lock> {
  const abstract = address.startsWith("\0");
  if (!abstract && Buffer.byteLength(address) > SOCKET_PATH_MAX) {
    throw new MpfwdError("ERR_USAGE", `the path is too long for a socket: ${address}`);
  }
  let server = await listen(address);
  if (server === null) {
    const holder = await askHolder(address);
    if (holder === null && !abstract) {
      // Nobody listens: a killed process left the file.
      rmSync(address, { force: true });
      server = await listen(address);
    }
    if (server === null) {
      const pid = holder === null || holder === "" ? "" : `, pid ${holder}`;
      throw new MpfwdError("ERR_IN_USE", `${what} is in use by a running portal${pid}`);
    }
  }
  const held = server;
  return { release: () => new Promise((resolve) => held.close(() => resolve())) };
}

/** Names of the instances that run in this network namespace. */
export function lockedNames(unixSockets = readFileSync("/proc/net/unix", "utf8")): string[] {
  const names = unixSockets.split("\n").flatMap((line) => {
    const name = / @mpfwd\/([a-z0-9_-]+)@*$/.exec(line)?.[1];
    return name === undefined ? [] : [name];
  });
  return [...new Set(names)];
}

function listen(address: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end(`${process.pid}\n`);
    });
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(null);
      else reject(new MpfwdError("ERR_HOST", `cannot lock: ${error.message}`, error));
    });
    server.listen({ path: address }, () => resolve(server));
  });
}

/** The holder's pid as text, "" when it does not say; null when nobody listens. */
function askHolder(address: string): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect({ path: address });
    const finish = (result: string | null) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => finish(""));
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      answer += text;
      if (answer.length > ANSWER_OCTETS_MAX) finish("");
    });
    socket.on("end", () => finish(/^\d+\n$/.test(answer) ? answer.trim() : ""));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      finish(error.code === "ECONNREFUSED" || error.code === "ENOENT" ? null : ""),
    );
  });
}
