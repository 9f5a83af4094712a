/**
 * The Local Portal: one peer, one socket a link, and the initiator's side of the session. Decides
 * when a link is reopened, when to handshake anew, and what the operator reads.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../core/log.ts";
import { SECOND, type TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";
import type { Handle } from "../native/native.ts";
import { SUITE } from "../native/native.ts";
import type { InitiatorEffect } from "../session/effects.ts";
import { Initiator } from "../session/initiator.ts";
import { REKEY_PACKETS } from "../session/limits.ts";
import { ipVersion } from "../wire/inner.ts";
import { TYPE, typeOf } from "../wire/preamble.ts";
import type { LocalConfig } from "./config.ts";
import { Contexts } from "./contexts.ts";
import type { Binding, DataPath, DataPathOwner } from "./datapath.ts";
import { LinkSocket } from "./link-socket.ts";
import type { Peer } from "./peer.ts";
import { type Attempt, LinkWatcher, unansweredLines } from "./watcher.ts";

/** Sockets, silence and names are looked at this often. */
const HOUSEKEEPING_US = 1 * SECOND;
/** How long the start waits for names to be resolved. */
const OPEN_WAIT_MS = 2_000;
/** Every link silent for this long: the Remote Portal may have lost its state. */
const RENEW_AFTER_US = 3 * SECOND;
/** A silent link gets a new socket this often: its device, address or the name's may have changed. */
const REOPEN_AFTER_US = 10 * SECOND;
/** When "no answer" is said first, and how often after that. */
const UNANSWERED_FIRST_US = 3 * SECOND;
const UNANSWERED_AGAIN_US = 30 * SECOND;

export class LocalPortal implements DataPathOwner {
  readonly peer: Peer;
  readonly sockets: readonly LinkSocket[];
  readonly initiator: Initiator;
  readonly #config: LocalConfig;
  readonly #log: Log;
  readonly #watcher: LinkWatcher;
  #data!: DataPath;
  #contexts!: Contexts;
  #housekeepingUs: TimeUs = 0;
  #unansweredUs: TimeUs = 0;
  #closing = false;
  #started = false;

  constructor(config: LocalConfig, log: Log, makePeer: (portal: LocalPortal) => Peer) {
    this.#config = config;
    this.#log = log;
    this.#watcher = new LinkWatcher(log);
    this.sockets = config.links.map((link, number) => new LinkSocket(number, link, config));
    this.peer = makePeer(this);
    this.initiator = new Initiator({
      clientId: config.clientId,
      key: config.key,
      suite: config.tunnel.encrypt ? SUITE.aes128Gcm : SUITE.hmacSha256,
      dataTag: config.tunnel.encrypt ? 16 : config.tunnel.tagOctets,
      links: config.links.map(({ transport }, number) => ({ number, transports: [transport] })),
      random: randomBytes,
    });
  }

  /** Opens what can be opened. @throws MpfwdError ERR_PRIVILEGE */
  async open(data: DataPath): Promise<void> {
    this.#data = data;
    this.#contexts = new Contexts(data);
    data.peers.push(this.peer);
    this.#makeLinks();
    const opened = Promise.all(this.sockets.map((socket) => this.#openSocket(socket)));
    // A name server that does not answer holds up its own links only; what goes wrong later is logged.
    opened.catch((cause: unknown) => this.#openFailed(cause));
    await Promise.race([opened, sleep(OPEN_WAIT_MS, undefined, { ref: false })]);
  }

  start(nowUs: TimeUs): void {
    this.#started = true;
    this.initiator.start(nowUs);
    this.#drain(nowUs);
  }

  close(nowUs: TimeUs): void {
    this.#closing = true;
    this.initiator.close(nowUs);
    this.#drain(nowUs);
  }

  peerOf(slot: number): Peer | undefined {
    return ipVersion(this.#data.arena, slot) === 0 ? undefined : this.peer;
  }

  admits(_peer: Peer, slot: number): boolean {
    return ipVersion(this.#data.arena, slot) !== 0;
  }

  onMessage(nowUs: TimeUs, socket: Handle, slot: number): void {
    const { arena } = this.#data;
    const context = arena.context[slot] as number;
    const type = typeOf(arena, slot);
    const binding = this.#data.bindingOf(context);
    if (binding !== undefined && type === TYPE.control) this.#data.noteControl(binding, slot);
    const from = this.sockets.find(({ handle }) => handle === socket);
    if (from === undefined) return;
    const { number, config } = from;
    const { transport } = config;
    const octets = arena.read(slot);
    const seq = arena.seq[slot] as number;
    this.initiator.handle(nowUs, { type, octets, seq, context, link: number, transport });
    this.#drain(nowUs);
  }

  /** Connected sockets hear one address only. */
  onSourceDiffers(_nowUs: TimeUs, _binding: Binding): void {}

  onSocketError(handle: Handle): void {
    const error = this.#data.engine.takeErrors(handle);
    const socket = this.sockets.find((candidate) => candidate.handle === handle);
    if (error !== null && socket !== undefined) socket.error = error;
  }

  visited(peer: Peer): void {
    this.#watcher.look(peer, "");
  }

  tick(nowUs: TimeUs): void {
    if (this.#closing) return;
    if (this.initiator.deadlineUs() <= nowUs) {
      this.initiator.timeout(nowUs);
      this.#drain(nowUs);
    }
    this.#askSilent(nowUs);
    if (nowUs < this.#housekeepingUs) return;
    this.#housekeepingUs = nowUs + HOUSEKEEPING_US;
    this.#tellUnanswered(nowUs);
    const worn = this.#config.tunnel.encrypt && this.peer.packetsUnderKeys > REKEY_PACKETS;
    if (worn || this.peer.silentFor(nowUs, RENEW_AFTER_US)) this.initiator.renew(nowUs);
    for (const socket of this.sockets) this.#keepOpen(nowUs, socket);
    this.#drain(nowUs);
  }

  deadlineUs(): TimeUs {
    return Math.min(this.initiator.deadlineUs(), this.#housekeepingUs);
  }

  /** Asks on every silent link whether the peer still knows us; the session limits how often. */
  #askSilent(nowUs: TimeUs): void {
    const { links } = this.peer.bond;
    for (let index = 0; index < links.length; index += 1) {
      const link = links[index] as Link;
      if (link.life.tag === "down") this.initiator.silent(nowUs, link.number);
    }
    this.#drain(nowUs);
  }

  #keepOpen(nowUs: TimeUs, socket: LinkSocket): void {
    if (socket.handle === 0 && socket.retryUs > nowUs) return;
    if (socket.handle !== 0 && !this.#silentTooLong(nowUs, socket)) return;
    this.#openSocket(socket).catch((cause: unknown) => this.#openFailed(cause));
  }

  /** Before the start it is the caller who hears of it, after the end nobody wants to. */
  #openFailed(cause: unknown): void {
    if (!this.#started || this.#closing) return;
    this.#log.error(cause instanceof Error ? cause.message : String(cause));
  }

  /** Down, or not attached yet: the socket may be bound to what is no longer there. */
  #silentTooLong(nowUs: TimeUs, socket: LinkSocket): boolean {
    const life = this.peer.bond.link(socket.number)?.life;
    if (life === undefined || life.tag === "up") return false;
    return nowUs - Math.max(life.sinceUs, socket.openedUs) > REOPEN_AFTER_US;
  }

  async #openSocket(socket: LinkSocket): Promise<void> {
    const { name } = socket.config;
    const failedBefore = socket.failure?.message;
    const opened = await socket.open(this.#data.engine);
    if (this.#closing) return;
    if (!opened && socket.failure !== undefined && socket.failure.message !== failedBefore) {
      this.#log.warn(`link ${name}: ${socket.failure.message}; it is tried again`);
    }
    if (!opened || !this.#started) return;
    const carrier = this.peer.carriers[socket.number];
    if (carrier !== undefined) {
      const { handle, family, config } = socket;
      const carriage = { socket: handle, family, transport: config.transport };
      this.#contexts.moved(this.peer, socket.number, carrier.context, null, carriage);
    }
    const nowUs = this.#data.engine.nowUs();
    this.initiator.reattach(nowUs, socket.number);
    this.#drain(nowUs);
    this.#data.wake();
  }

  #tellUnanswered(nowUs: TimeUs): void {
    const { unanswered } = this.initiator;
    if (unanswered === null || this.peer.bond.liveCount > 0) {
      this.#unansweredUs = 0;
      return;
    }
    const sinceUs = nowUs - unanswered.sinceUs;
    if (sinceUs < UNANSWERED_FIRST_US || nowUs < this.#unansweredUs) return;
    this.#unansweredUs = nowUs + UNANSWERED_AGAIN_US;
    const attempts = this.sockets.map((socket) => attemptOf(socket, unanswered.sent));
    const { port, protocol } = this.#config;
    for (const line of unansweredLines(sinceUs, attempts, port, protocol)) this.#log.warn(line);
    // An old error must not decide the next diagnosis.
    for (const socket of this.sockets) socket.error = undefined;
  }

  #drain(nowUs: TimeUs): void {
    for (;;) {
      const effect = this.initiator.pollEffect();
      if (effect === undefined) return;
      this.#perform(nowUs, effect);
    }
  }

  #perform(nowUs: TimeUs, effect: InitiatorEffect): void {
    switch (effect.tag) {
      case "attached":
        this.#attached(nowUs, effect);
        break;
      case "send":
        this.#send(effect);
        break;
      case "addReset":
        this.#data.engine.addReset(effect.id, effect.token, effect.context);
        break;
      case "removeReset":
        this.#data.engine.removeReset(effect.id);
        break;
      case "established":
        this.#established(effect.continued);
        break;
      case "lost":
        this.peer.established = false;
        this.#log.warn(`session with the Remote Portal lost: ${effect.reason}`);
        break;
      case "refused":
        this.#log.error(`the Remote Portal refuses: ${refusedText(effect)}`);
        break;
      case "note":
        this.#log[effect.level === "info" ? "info" : "warn"](effect.text);
        break;
      default:
        this.#contexts.perform(nowUs, effect, this.peer);
    }
  }

  #established(continued: boolean): void {
    if (!continued) {
      this.peer.reset();
      this.#makeLinks();
    }
    this.peer.newKeys();
    if (!this.peer.established) this.#log.info("session with the Remote Portal established");
    this.peer.established = true;
  }

  /** Every configured link, so that status shows those that have no answer yet. */
  #makeLinks(): void {
    for (const { number } of this.sockets) this.peer.link(number);
  }

  #attached(nowUs: TimeUs, effect: Extract<InitiatorEffect, { tag: "attached" }>): void {
    const socket = this.sockets[effect.link];
    if (socket === undefined) return;
    const { transport } = socket.config;
    const carriage = { socket: socket.handle, transport, family: socket.family };
    this.#contexts.attached(nowUs, effect, carriage);
  }

  #send({ link, transport, octets }: Extract<InitiatorEffect, { tag: "send" }>): void {
    const socket = this.sockets[link];
    if (socket === undefined || socket.handle === 0) return;
    if (transport !== null && transport !== socket.config.transport) return;
    const { arena, engine } = this.#data;
    const slot = arena.take();
    if (slot < 0) return;
    arena.write(slot, octets);
    engine.sendPlain(socket.handle, slot, null);
    arena.give(slot);
  }
}

function attemptOf(socket: LinkSocket, sent: ReadonlyMap<number, number>): Attempt {
  return {
    name: socket.config.name,
    transport: socket.config.transport,
    remote: socket.address ?? socket.config.remote,
    sent: sent.get(socket.number) ?? 0,
    ...(socket.failure === undefined ? {} : { failure: socket.failure.message }),
    ...(socket.error === undefined ? {} : { error: socket.error }),
  };
}

function refusedText(effect: Extract<InitiatorEffect, { tag: "refused" }>): string {
  const encrypts = effect.suite === SUITE.aes128Gcm;
  switch (effect.reason) {
    case "encrypt":
      return `it is configured with encrypt = ${encrypts}; say the same here`;
    case "tag":
      return `it wants tag_octets of at least ${effect.dataTag}`;
    case "transport":
      return "it does not accept the transport of this link";
    default:
      return "for a reason this version does not know; is it newer?";
  }
}
