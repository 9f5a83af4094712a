/**
 * The sockets of a portal: one connected socket a link and transport at a Local Portal, so that the
 * kernel passes on the peer's packets only; one unconnected or listening socket a family and transport
 * at a Remote Portal.
 */
import { MpfwdError } from "../core/errors.ts";
import type { Transport } from "../core/transport.ts";
import type { Engine, Handle, SocketOptions } from "../native/native.ts";

export interface LinkTarget {
  readonly transport: Transport;
  /** Text, as resolved. */
  readonly address: string;
  readonly family: 4 | 6;
  readonly port: number;
  readonly protocol: number;
  readonly device?: string;
  readonly source?: string;
  readonly segmentation: boolean;
  /** Tell the hop limit that packets arrive with. */
  readonly arrivalHopLimit?: boolean;
}

/** @throws MpfwdError ERR_LINK or ERR_PRIVILEGE, saying what was tried */
export function openLinkSocket(engine: Engine, target: LinkTarget): Handle {
  const options: SocketOptions = {
    kind: target.transport,
    family: target.family,
    protocol: target.protocol,
    segmentation: target.segmentation,
    arrivalHopLimit: target.arrivalHopLimit ?? false,
    ...(target.device === undefined ? {} : { device: target.device }),
    ...(target.source === undefined ? {} : { source: target.source }),
  };
  const from = [target.source, target.device].filter((part) => part !== undefined).join(" on ");
  const what = `a ${target.transport} socket to ${target.address}${from && ` from ${from}`}`;
  const handle = attempt(what, () => engine.openSocket(options));
  try {
    engine.connectSocket(handle, target.address, target.transport === "raw" ? 0 : target.port);
    return handle;
  } catch (cause) {
    engine.close(handle);
    // Here it is a route of type prohibit that forbids, no capability.
    const forbidden = ["EACCES", "EPERM"].includes(codeOf(cause));
    if (forbidden)
      throw new MpfwdError("ERR_LINK", `cannot open ${what}: a route forbids it`, cause);
    throw socketError(what, cause);
  }
}

function attempt<T>(what: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    throw socketError(what, cause);
  }
}

export interface ListenTarget {
  readonly transport: Transport;
  readonly family: 4 | 6;
  /** Local address, text; absent: all. */
  readonly source?: string;
  readonly port: number;
  readonly protocol: number;
  readonly segmentation: boolean;
  /** Tell the hop limit that packets arrive with. */
  readonly arrivalHopLimit?: boolean;
}

/** Connections that wait to be accepted; the kernel refuses more. */
const BACKLOG = 128;

/** @throws MpfwdError ERR_LINK or ERR_PRIVILEGE, saying what was tried */
export function openListenSocket(engine: Engine, target: ListenTarget): Handle {
  const where = target.source ?? (target.family === 4 ? "0.0.0.0" : "::");
  try {
    const handle = engine.openSocket({
      kind: target.transport,
      family: target.family,
      segmentation: target.segmentation,
      arrivalHopLimit: target.arrivalHopLimit ?? false,
      ...(target.source === undefined ? {} : { source: target.source }),
      ...(target.transport === "raw" ? { protocol: target.protocol } : { port: target.port }),
    });
    if (target.transport === "tcp") engine.listenSocket(handle, BACKLOG);
    return handle;
  } catch (cause) {
    const number =
      target.transport === "raw" ? `protocol ${target.protocol}` : `port ${target.port}`;
    throw socketError(`a ${target.transport} socket on ${where}, ${number}`, cause);
  }
}

/** Another program has the port. */
export function isPortTaken({ cause }: MpfwdError): boolean {
  return codeOf(cause) === "EADDRINUSE";
}

function socketError(what: string, cause: unknown): MpfwdError {
  const code = codeOf(cause);
  if (code === "EPERM" || code === "EACCES") {
    const text = `cannot open ${what}: not permitted; it needs CAP_NET_RAW and CAP_NET_ADMIN`;
    return new MpfwdError("ERR_PRIVILEGE", text, cause);
  }
  const mends: Record<string, string> = {
    EADDRINUSE: "another program uses it",
    EADDRNOTAVAIL: "this machine does not have that address (yet)",
    ENODEV: "there is no such device (yet)",
    ENETUNREACH: "there is no route to it",
    EHOSTUNREACH: "there is no route to it",
  };
  const mend = mends[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new MpfwdError("ERR_LINK", `cannot open ${what}: ${mend}`, cause);
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
}
