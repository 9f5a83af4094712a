/**
 * Answers on the control socket. Whatever a client sends gets an answer or is cut off; it never
 * ends the process and never holds more than a few kilobytes of it.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { MpfwdError } from "../core/errors.ts";
import type { PortalStatus } from "../portal/snapshot.ts";
import { REQUEST_OCTETS_MAX, readRequest } from "./control.ts";

const CONNECTIONS_MAX = 16;
/** Requests that one client may have sent ahead of their answers. */
const PIPELINE_MAX = 8;
const IDLE_TIMEOUT_MS = 60_000;

export interface ControlServer {
  /** Stops answering, cuts open connections, removes the socket file. */
  close(): Promise<void>;
}

/**
 * @param path - of the socket; a file that a killed process left is replaced: the caller holds the
 *   instance's lock, so that nobody can be listening on it
 * @throws MpfwdError ERR_CONTROL
 */
export async function openControl(
  path: string,
  status: () => PortalStatus,
): Promise<ControlServer> {
  rmSync(path, { force: true });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    serve(socket, status);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, path);
  chmodSync(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
        rmSync(path, { force: true });
      }),
  };
}

function serve(socket: Socket, status: () => PortalStatus): void {
  let pending = "";
  socket.setEncoding("utf8");
  socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("drain", () => socket.resume());
  socket.on("data", (text: string) => {
    const lines = (pending + text).split("\n");
    pending = lines.pop() ?? "";
    if (lines.length > PIPELINE_MAX || pending.length > REQUEST_OCTETS_MAX) {
      pending = "";
      socket.removeAllListeners("data");
      socket.end('{"error":"too much was sent at once"}\n');
      socket.destroySoon();
      return;
    }
    let room = true;
    for (const line of lines) room = socket.write(`${JSON.stringify(answer(line, status))}\n`);
    if (!room) socket.pause();
  });
}

function answer(line: string, status: () => PortalStatus): PortalStatus | { error: string } {
  const request = readRequest(line);
  if ("error" in request) return request;
  try {
    return status();
  } catch (error) {
    return { error: `no status: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const message = `cannot open the control socket ${path}: ${error.message}`;
      reject(new MpfwdError("ERR_CONTROL", message, error));
    });
    server.listen({ path }, () => {
      // A failing accept later on must not end the portal.
      server.on("error", () => {});
      resolve();
    });
  });
}
