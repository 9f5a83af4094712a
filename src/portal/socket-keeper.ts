/**
 * Keeps the sockets of a Local Portal's links open: opens what is due, again where it failed, fell silent or
 * the machine has changed under it, TCP once nothing better answers and no longer than that, and says which
 * can be used.
 */
import type { Log } from "../core/log.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Handle, SocketError } from "../native/native.ts";
import type { Initiator } from "../session/initiator.ts";
import type { Route } from "./carrier.ts";
import type { Contexts } from "./contexts.ts";
import type { DataPath } from "./datapath.ts";
import type { LinkSocket } from "./link-socket.ts";
import type { LinkSockets } from "./link-sockets.ts";
import type { Peer } from "./peer.ts";

/** A silent link gets new sockets this often. */
const REOPEN_AFTER_US = 10 * SECOND;
/** Without an answer for so long, TCP is tried beside the others. */
const TCP_AFTER_US = 1 * SECOND;

export interface KeeperOptions {
  readonly links: readonly LinkSockets[];
  readonly peer: Peer;
  readonly initiator: Initiator;
  readonly data: DataPath;
  readonly contexts: Contexts;
  readonly log: Log;
  /** The session was told something: carry out what it asks for. */
  readonly drain: (nowUs: TimeUs) => void;
}

export class SocketKeeper {
  readonly #options: KeeperOptions;
  #started = false;
  #startedUs: TimeUs = NEVER;
  #closing = false;
  #reconnectUs: TimeUs = NEVER;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Opens what can be opened. @throws MpfwdError ERR_PRIVILEGE */
  open(): void {
    for (const link of this.#options.links) {
      for (const socket of link.each) {
        if (link.due(socket.transport, false)) this.#open(link, socket);
      }
    }
  }

  start(nowUs: TimeUs): void {
    this.#started = true;
    this.#startedUs = nowUs;
  }

  close(): void {
    this.#closing = true;
  }

  /** Once a second, and at `deadlineUs`. */
  tick(nowUs: TimeUs): void {
    if (nowUs >= this.#reconnectUs) this.#reconnectUs = NEVER;
    for (const link of this.#options.links) {
      for (const socket of link.each) this.#keepOpen(nowUs, link, socket);
    }
  }

  /** When a connection that was lost is to be made again. */
  deadlineUs(): TimeUs {
    return this.#reconnectUs;
  }

  /**
   * The link's device, addresses or way are others now: opens what can be opened, and anew what was bound
   * to something that is gone. @returns true when something was opened anew, or lost by that
   */
  refresh(nowUs: TimeUs, link: LinkSockets): boolean {
    let renewed = false;
    for (const socket of link.each) {
      if (link.isStale(this.#options.data.engine, socket)) {
        renewed = true;
        if (socket.transport === "tcp") this.#dropConnection(nowUs, link, socket);
      } else if (socket.handle !== 0) continue;
      socket.retryUs = NEVER;
      if (link.due(socket.transport, this.#wantsTcp(nowUs, link))) this.#openLater(link, socket);
    }
    return renewed;
  }

  /** Closes what the link has, so that not a single packet leaves. */
  closeAll(nowUs: TimeUs, link: LinkSockets): void {
    for (const socket of link.each) {
      if (socket.handle !== 0) this.#dropConnection(nowUs, link, socket);
    }
  }

  /** After each visit of the peer: what a ladder has come to want is connected now, not with the next tick. */
  hasten(nowUs: TimeUs): void {
    const { links, peer } = this.#options;
    for (let index = 0; index < links.length; index += 1) {
      const link = links[index] as LinkSockets;
      if (peer.ladders[link.number]?.wantsTcp !== true) continue;
      const socket = link.of("tcp");
      if (socket !== undefined && socket.handle === 0) this.#keepOpen(nowUs, link, socket);
    }
  }

  routeOf(handle: Handle): Route | undefined {
    return this.find(handle)?.socket.route;
  }

  /** Whose socket this is. */
  find(handle: Handle): { readonly link: LinkSockets; readonly socket: LinkSocket } | undefined {
    for (const link of this.#options.links) {
      const socket = link.owner(handle);
      if (socket !== undefined) return { link, socket };
    }
    return undefined;
  }

  /** False: the socket is closed now. */
  onError(nowUs: TimeUs, handle: Handle, error: SocketError): boolean {
    const found = this.find(handle);
    if (found === undefined) return true;
    const { link, socket } = found;
    socket.error = error;
    const connection = socket.transport === "tcp";
    if (connection) this.#dropConnection(nowUs, link, socket);
    else this.#options.peer.ladders[link.number]?.hint(nowUs, socket.transport);
    this.#options.peer.dirty = true;
    return !connection;
  }

  /** A connection stands. */
  onWritable(nowUs: TimeUs, handle: Handle): void {
    const found = this.find(handle);
    if (found === undefined || found.socket.connected) return;
    found.socket.connected = true;
    this.#ready(nowUs, found.link, found.socket);
  }

  #keepOpen(nowUs: TimeUs, link: LinkSockets, socket: LinkSocket): void {
    const over = socket.transport === "tcp" && socket.connected && this.#isTcpIdle(nowUs, link);
    if (over || socket.overdue(nowUs)) this.#dropConnection(nowUs, link, socket);
    if (socket.handle === 0) {
      if (!link.due(socket.transport, this.#wantsTcp(nowUs, link))) return;
      if (socket.retryUs !== NEVER && socket.retryUs > nowUs) return;
    } else if (socket.transport === "tcp" || !this.#silentTooLong(nowUs, link)) return;
    this.#openLater(link, socket);
  }

  /** Nothing better has answered for a while. */
  #wantsTcp(nowUs: TimeUs, link: LinkSockets): boolean {
    const { unanswered } = this.#options.initiator;
    if (unanswered !== null && nowUs - unanswered.sinceUs > TCP_AFTER_US) return true;
    return this.#options.peer.ladders[link.number]?.wantsTcp ?? this.#notAttached(nowUs, link);
  }

  /** Something better carries the link in both directions: TCP would only cost the Remote Portal a socket. */
  #isTcpIdle(nowUs: TimeUs, link: LinkSockets): boolean {
    return (
      this.#options.peer.ladders[link.number]?.wantsTcp === false && !this.#wantsTcp(nowUs, link)
    );
  }

  #notAttached(nowUs: TimeUs, link: LinkSockets): boolean {
    const life = this.#options.peer.bond.link(link.number)?.life;
    if (life?.tag !== "connecting") return false;
    return nowUs - Math.max(life.sinceUs, this.#startedUs) > TCP_AFTER_US;
  }

  #dropConnection(nowUs: TimeUs, link: LinkSockets, socket: LinkSocket): void {
    socket.close(this.#options.data.engine);
    this.#reconnectUs = Math.min(this.#reconnectUs, socket.retryUs);
    this.#options.contexts.unroute(nowUs, this.#options.peer, link.number, socket.transport);
  }

  /** Down, or not attached yet: the socket may be bound to what is no longer there. */
  #silentTooLong(nowUs: TimeUs, link: LinkSockets): boolean {
    const life = this.#options.peer.bond.link(link.number)?.life;
    if (life === undefined || life.tag === "up" || life.tag === "suspect") return false;
    if (link.place.tag === "unusable") return false;
    return nowUs - Math.max(life.sinceUs, link.openedUs) > REOPEN_AFTER_US;
  }

  /** After the start what goes wrong ends nothing: it is tried again. */
  #openLater(link: LinkSockets, socket: LinkSocket): void {
    try {
      this.#open(link, socket);
    } catch (cause) {
      this.#options.log.error(cause instanceof Error ? cause.message : String(cause));
    }
  }

  /** Not while nothing can leave by the link's way. @throws MpfwdError ERR_PRIVILEGE */
  #open(link: LinkSockets, socket: LinkSocket): void {
    const { place, remote } = link;
    if (this.#closing || place.tag === "unusable" || remote === null) return;
    const { engine } = this.#options.data;
    const failedBefore = socket.failure?.message;
    const opened = socket.open(engine, remote, place.device);
    if (!opened && socket.failure !== undefined && socket.failure.message !== failedBefore) {
      const { name } = socket.config;
      this.#options.log.warn(`link ${name}: ${socket.failure.message}; it is tried again`);
    }
    if (opened && this.#started) this.#ready(engine.nowUs(), link, socket);
  }

  /** Messages can be sent by a new socket. */
  #ready(nowUs: TimeUs, link: LinkSockets, socket: LinkSocket): void {
    const { route } = socket;
    if (route === undefined) return;
    const attached = this.#options.peer.carriers[link.number] !== undefined;
    if (attached) this.#options.contexts.route(nowUs, this.#options.peer, link.number, route);
    const current = this.#options.peer.carriers[link.number]?.transport;
    const { initiator } = this.#options;
    if (!attached) initiator.opened(nowUs, link.number, socket.transport);
    else if (current === socket.transport) initiator.reattach(nowUs, link.number);
    this.#options.peer.dirty = true;
    this.#options.drain(nowUs);
    this.#options.data.wake();
  }
}
