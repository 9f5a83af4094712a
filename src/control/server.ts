/**
 * Answers on the control socket. Whatever a client sends gets an answer or is cut off; it never
 * ends the process and never holds more than a few kilobytes of it.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { MpfwdError } from "../core/errors.ts";
import type { CaptureOptions, CaptureSink, RunningCapture } from "../portal/capture.ts";
import type { PortalStatus } from "../portal/snapshot.ts";
import { CaptureStream } from "./capture-stream.ts";
import { REQUEST_OCTETS_MAX, readRequest } from "./control.ts";

const CONNECTIONS_MAX = 16;
/** Requests that one client may have sent ahead of their answers. */
const PIPELINE_MAX = 8;
const IDLE_TIMEOUT_MS = 60_000;

/** What the control socket asks of a portal. */
export interface ControlledPortal {
  status(): PortalStatus;
  /** @throws MpfwdError when it cannot be done now */
  capture(options: CaptureOptions, sink: CaptureSink): RunningCapture;
}

export interface ControlServer {
  /** Stops answering, cuts open connections, removes the socket file. */
  close(): Promise<void>;
}

/**
 * @param path - of the socket; a file that a killed process left is replaced: the caller holds the
 *   instance's lock, so that nobody can be listening on it
 * @throws MpfwdError ERR_CONTROL
 */
export async function openControl(path: string, portal: ControlledPortal): Promise<ControlServer> {
  rmSync(path, { force: true });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    serve(socket, portal);
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

function serve(socket: Socket, portal: ControlledPortal): void {
  let pending = "";
  let capture: CaptureStream | null = null;
  socket.setEncoding("utf8");
  socket.setTimeout(IDLE_TIMEOUT_MS, () => {
    // A capture may see nothing for long; whoever asked for it hears when it ends.
    if (capture === null || capture.ended) socket.destroy();
  });
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
    for (const line of lines) {
      if (capture !== null) capture.stop();
      else {
        const given = answer(line, portal, socket);
        if (given instanceof CaptureStream) capture = given;
        else room = socket.write(`${JSON.stringify(given)}\n`);
      }
    }
    if (!room) socket.pause();
  });
}

function answer(
  line: string,
  portal: ControlledPortal,
  socket: Socket,
): PortalStatus | CaptureStream | { error: string } {
  const request = readRequest(line);
  if ("error" in request) return request;
  try {
    switch (request.request) {
      case "status":
        return portal.status();
      case "capture":
        return new CaptureStream(socket, request, portal);
      default:
        return { error: "no capture runs on this connection" };
    }
  } catch (error) {
    return {
      error: `no ${request.request}: ${error instanceof Error ? error.message : String(error)}`,
    };
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
