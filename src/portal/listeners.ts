/**
 * Where a Remote Portal hears its clients: one socket a family and transport, and every TCP connection
 * that one of them accepted. Says which socket answers along a path.
 */
import { PATH_OCTETS } from "../core/arena.ts";
import { MpfwdError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { localText, type Path, pathText, samePath } from "../core/path.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { type ListenTarget, openListenSocket } from "../io/sockets.ts";
import type { Engine, Handle } from "../native/native.ts";
import { kindOf, type Route } from "./carrier.ts";

/** Connections that have not said anything genuine are closed after this. */
const STRANGER_US = 10 * SECOND;
/** And there are no more of them than this at a time: the oldest gives way. */
const STRANGERS_MAX = 64;
/** Accepted at a time, before others get their turn. */
const ACCEPTS_MAX = 16;

interface Listener extends ListenTarget {
  readonly handle: Handle;
}

interface Connection {
  readonly handle: Handle;
  readonly path: Path;
  readonly sinceUs: TimeUs;
  /** A message with a valid tag has come by it. */
  known: boolean;
}

export class Listeners {
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #listeners: Listener[] = [];
  readonly #connections = new Map<Handle, Connection>();

  constructor(engine: Engine, log: Log) {
    this.#engine = engine;
    this.#log = log;
  }

  /** @throws MpfwdError ERR_LINK or ERR_PRIVILEGE */
  open(target: ListenTarget): void {
    try {
      this.#listeners.push({ ...target, handle: openListenSocket(this.#engine, target) });
    } catch (cause) {
      // A machine without IPv6 serves IPv4; an address that was asked for must be there.
      const optional = target.family === 6 && target.source === undefined;
      if (!optional || !(cause instanceof MpfwdError) || cause.code === "ERR_PRIVILEGE")
        throw cause;
      this.#log.warn(`${cause.message}; serving IPv4 only`);
    }
  }

  /** Accepts what waits on a listening socket; false: it is none. */
  accept(nowUs: TimeUs, handle: Handle): boolean {
    const listener = this.#listeners.find((candidate) => candidate.handle === handle);
    if (listener?.transport !== "tcp") return false;
    for (let count = 0; count < ACCEPTS_MAX; count += 1) {
      const accepted = this.#engine.acceptSocket(handle);
      if (accepted === null) break;
      const { path } = accepted;
      this.#connections.set(accepted.handle, {
        ...{ handle: accepted.handle, path, sinceUs: nowUs, known: false },
      });
    }
    this.#limitStrangers();
    return true;
  }

  /** Something genuine came by this socket. */
  confirm(handle: Handle): void {
    const connection = this.#connections.get(handle);
    if (connection !== undefined) connection.known = true;
  }

  /** True: it was a connection, and it is gone. */
  drop(handle: Handle): boolean {
    if (!this.#connections.delete(handle)) return false;
    this.#engine.close(handle);
    return true;
  }

  /** Closes connections of strangers that stay too long. */
  tick(nowUs: TimeUs): void {
    for (const { handle, known, sinceUs } of this.#connections.values()) {
      if (!known && nowUs - sinceUs > STRANGER_US) this.drop(handle);
    }
  }

  deadlineUs(): TimeUs {
    for (const { known, sinceUs } of this.#connections.values()) {
      if (!known) return sinceUs + STRANGER_US + 1;
    }
    return NEVER;
  }

  /** The socket of ours that answers along a path; undefined: none does any more. */
  routeFor(path: Path): Route | undefined {
    const kind = kindOf(path);
    if (kind === undefined) return undefined;
    const socket = kind.transport === "tcp" ? this.#connectionOf(path) : this.#listenerOf(path);
    return socket === undefined ? undefined : { ...kind, socket, path };
  }

  /** The way that a message came by `handle`. */
  routeOf(handle: Handle, path: Path): Route | undefined {
    const kind = kindOf(path);
    return kind === undefined ? undefined : { ...kind, socket: handle, path };
  }

  #listenerOf(path: Path): Handle | undefined {
    const kind = kindOf(path);
    return this.#listeners.find(
      ({ transport, family, source }) =>
        transport === kind?.transport &&
        family === kind.family &&
        (source === undefined || source === localText(path)),
    )?.handle;
  }

  #connectionOf(path: Path): Handle | undefined {
    for (const connection of this.#connections.values()) {
      if (samePath(connection.path, path)) return connection.handle;
    }
    return undefined;
  }

  #limitStrangers(): void {
    const strangers = [...this.#connections.values()].filter(({ known }) => !known);
    for (const { handle, path } of strangers.slice(0, -STRANGERS_MAX)) {
      this.#log.warn(`too many connections that say nothing: closing the one of ${pathText(path)}`);
      this.drop(handle);
    }
  }
}

/** A copy of the path of a received message. */
export function pathOf(paths: Uint8Array, slot: number): Path {
  return paths.slice(slot * PATH_OCTETS, (slot + 1) * PATH_OCTETS);
}
