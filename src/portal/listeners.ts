/**
 * Where a Remote Portal hears its clients: one socket a family and transport, and every TCP connection
 * that one of them accepted. Says which socket answers along a path.
 */
import { PATH_OCTETS } from "../core/arena.ts";
import { MpfwdError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { localText, type Path, pathText, samePath } from "../core/path.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { isPortTaken, type ListenTarget, openListenSocket } from "../io/sockets.ts";
import type { Engine, Handle } from "../native/native.ts";
import { kindOf, type Route } from "./carrier.ts";

/** Connections by which no messages of a link go are closed after this. */
const STRANGER_US = 10 * SECOND;
/** And there are no more of them than this at a time: the oldest gives way. */
const STRANGERS_MAX = 64;
/** Nor of those that one link speaks by beside its own, or one client could take them all. */
const CANDIDATES_MAX = 2;
/** A link's connection brings a HELLO every 15 s: one that brings none for so long has lost its client. */
const IDLE_US = 300 * SECOND;
/** Connections are looked at this often, and after each that was accepted. */
const LOOK_US = 1 * SECOND;
/** A TCP port that another program has is tried again so often. */
const RETRY_US = 3 * SECOND;
/** Too many strangers are told of no more often than this. */
const TELL_US = 10 * SECOND;
/** Accepted at a time, before others get their turn. */
const ACCEPTS_MAX = 16;

interface Listener extends ListenTarget {
  readonly handle: Handle;
}

interface Connection {
  readonly handle: Handle;
  readonly path: Path;
  /** When it was accepted, and when a link's message came by it last. */
  readonly sinceUs: TimeUs;
  heardUs: TimeUs;
  /** Receive context of the link whose messages come by it; 0: none has come yet. */
  context: number;
  /** Its link's messages go by it. */
  settled: boolean;
  /** They went, or might have gone; another one is settled now, or too many might. */
  superseded: boolean;
}

export class Listeners {
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #listeners: Listener[] = [];
  /** In the order in which they were accepted. */
  readonly #connections = new Map<Handle, Connection>();
  #lookUs: TimeUs = NEVER;
  #tellUs: TimeUs = 0;
  /** TCP ports that another program has. */
  #taken: ListenTarget[] = [];
  #retryUs: TimeUs = NEVER;

  constructor(engine: Engine, log: Log) {
    this.#engine = engine;
    this.#log = log;
  }

  /**
   * @param alone - there is no transport beside this one: without it nobody is served
   * @throws MpfwdError ERR_LINK or ERR_PRIVILEGE
   */
  open(target: ListenTarget, alone: boolean): void {
    try {
      this.#listen(target);
    } catch (cause) {
      if (!(cause instanceof MpfwdError) || cause.code === "ERR_PRIVILEGE") throw cause;
      if (target.transport === "tcp" && !alone && isPortTaken(cause)) {
        this.#taken.push(target);
        this.#retryUs = this.#engine.nowUs() + RETRY_US;
        const mend = 'choose another port, or listen.transports without "tcp"';
        this.#log.warn(`${cause.message}; going on without TCP until it is free: ${mend}`);
        return;
      }
      // A machine without IPv6 serves IPv4; an address that was asked for must be there.
      if (target.family !== 6 || target.source !== undefined) throw cause;
      this.#log.warn(`${cause.message}; serving IPv4 only`);
    }
  }

  /** Connections are heard at every address that was asked for. */
  get hearsTcp(): boolean {
    return this.#taken.length === 0;
  }

  /** Whether the hop limit that packets arrive with is told, which costs each of them a little. */
  tellHopLimits(told: boolean): void {
    for (const { handle } of this.#listeners) this.#engine.setArrivalHopLimit(handle, told);
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
        ...{ handle: accepted.handle, path, sinceUs: nowUs, heardUs: nowUs },
        ...{ context: 0, settled: false, superseded: false },
      });
    }
    this.#lookUs = nowUs;
    return true;
  }

  /**
   * A message of a link came by this socket: `context` is its receive context. Handshakes say nothing,
   * since whoever has seen one can play it again.
   */
  confirm(nowUs: TimeUs, handle: Handle, context: number): void {
    const connection = this.#connections.get(handle);
    if (connection === undefined || connection.superseded) return;
    connection.heardUs = nowUs;
    if (connection.context === context) return;
    connection.context = context;
    const candidates = [...this.#connections.values()].filter(
      (one) => one.context === context && !one.settled && !one.superseded,
    );
    if (candidates.length <= CANDIDATES_MAX) return;
    for (const one of candidates.slice(0, -CANDIDATES_MAX)) one.superseded = true;
    this.#lookUs = -NEVER;
  }

  /**
   * A link's messages go by this socket now. A client has one connection a link: the others are dead, even
   * if nobody has told us, or somebody else's.
   */
  settle(handle: Handle): void {
    const connection = this.#connections.get(handle);
    if (connection === undefined || connection.context === 0) return;
    connection.settled = true;
    for (const other of this.#connections.values()) {
      if (other !== connection && other.context === connection.context) other.superseded = true;
    }
    this.#lookUs = -NEVER;
  }

  /** True: it was a connection, and it is gone. */
  drop(handle: Handle): boolean {
    if (!this.#connections.delete(handle)) return false;
    this.#engine.close(handle);
    return true;
  }

  /**
   * Closes connections that are of no use. Never while the events of a batch are being served: one of
   * them may be of such a connection.
   *
   * @param dropped - told the handle of each that links may know
   */
  tick(nowUs: TimeUs, dropped: (handle: Handle) => void): void {
    if (nowUs >= this.#retryUs) this.#retry(nowUs);
    if (nowUs < this.#lookUs) return;
    for (const connection of this.#useless(nowUs)) {
      this.drop(connection.handle);
      if (connection.context !== 0) dropped(connection.handle);
    }
    this.#lookUs = this.#connections.size === 0 ? NEVER : nowUs + LOOK_US;
  }

  deadlineUs(): TimeUs {
    return Math.min(this.#lookUs, this.#retryUs);
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

  #listen(target: ListenTarget): void {
    this.#listeners.push({ ...target, handle: openListenSocket(this.#engine, target) });
  }

  /** Ports that were taken may be free now. */
  #retry(nowUs: TimeUs): void {
    this.#taken = this.#taken.filter((target) => {
      try {
        this.#listen(target);
        this.#log.info(
          `TCP port ${target.port} is free now: IPv${target.family} is heard by TCP too`,
        );
        return false;
      } catch (cause) {
        if (cause instanceof MpfwdError) return true;
        throw cause;
      }
    });
    this.#retryUs = this.#taken.length === 0 ? NEVER : nowUs + RETRY_US;
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

  #useless(nowUs: TimeUs): Connection[] {
    const all = [...this.#connections.values()];
    const strangers = all.filter(({ context }) => context === 0);
    const excess = new Set(strangers.slice(0, -STRANGERS_MAX));
    this.#tellExcess(nowUs, excess);
    return all.filter((connection) => {
      const { settled, superseded, sinceUs, heardUs } = connection;
      if (superseded || excess.has(connection)) return true;
      return settled ? nowUs - heardUs > IDLE_US : nowUs - sinceUs > STRANGER_US;
    });
  }

  #tellExcess(nowUs: TimeUs, excess: ReadonlySet<Connection>): void {
    const [first] = excess;
    if (first === undefined || nowUs < this.#tellUs) return;
    this.#tellUs = nowUs + TELL_US;
    this.#log.warn(
      `too many connections that say nothing: the oldest are closed, as the one of ${pathText(first.path)}`,
    );
  }
}

/** A copy of the path of a received message. */
export function pathOf(paths: Uint8Array, slot: number): Path {
  return paths.slice(slot * PATH_OCTETS, (slot + 1) * PATH_OCTETS);
}
