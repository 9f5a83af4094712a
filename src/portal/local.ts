/**
 * The Local Portal: one peer, a socket for each link and transport, and the initiator's side of the
 * session. Decides when sockets are opened, when to handshake anew, and what the operator reads.
 */
import { randomBytes } from "node:crypto";
import type { Log } from "../core/log.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import type { TransportSwitch } from "../ladder/ladder.ts";
import type { Link } from "../link/link.ts";
import type { Handle, SendFailure } from "../native/native.ts";
import { SUITE } from "../native/native.ts";
import type { InitiatorEffect } from "../session/effects.ts";
import { Initiator } from "../session/initiator.ts";
import { PING_HURRY_INTERVAL_US, REKEY_PACKETS } from "../session/limits.ts";
import { ipVersion } from "../wire/inner.ts";
import { TYPE, typeOf } from "../wire/preamble.ts";
import type { Route } from "./carrier.ts";
import type { LocalConfig } from "./config.ts";
import { Contexts } from "./contexts.ts";
import type { DataPath } from "./datapath.ts";
import { Ladders } from "./ladders.ts";
import { LinkPlaces } from "./link-places.ts";
import { LinkSockets } from "./link-sockets.ts";
import type { Binding, DataPathOwner } from "./owner.ts";
import type { Peer } from "./peer.ts";
import type { Way } from "./place.ts";
import { SendFailures } from "./send-failures.ts";
import { SocketKeeper } from "./socket-keeper.ts";
import { type Attempt, LinkWatcher, refusedText, switchText, unansweredLines } from "./watcher.ts";

/** Sockets, silence and names are looked at this often. */
const HOUSEKEEPING_US = 1 * SECOND;
/**
 * Every link down for this long, and silent for a little longer: the Remote Portal may have lost its
 * state. The session goes on beside the handshake that begins then, until the new one is confirmed.
 */
const RENEW_AFTER_US = 600 * MS;
/** For so long after all links have gone down it is asked often: most portals are started again at once. */
const HURRY_US = 10 * SECOND;
/** When "no answer" is said first, and how often after that. */
const UNANSWERED_FIRST_US = 3 * SECOND;
const UNANSWERED_AGAIN_US = 30 * SECOND;

export class LocalPortal implements DataPathOwner {
  readonly peer: Peer;
  readonly links: readonly LinkSockets[];
  readonly initiator: Initiator;
  onChange: () => void = () => {};
  readonly #config: LocalConfig;
  readonly #log: Log;
  readonly #watcher: LinkWatcher;
  readonly #failures: SendFailures;
  #data!: DataPath;
  #contexts!: Contexts;
  #keeper!: SocketKeeper;
  #places!: LinkPlaces;
  #housekeepingUs: TimeUs = 0;
  #unansweredUs: TimeUs = 0;
  /** When silent links are to be asked again, all of them being silent. */
  #askUs: TimeUs = NEVER;
  #closing = false;

  constructor(config: LocalConfig, log: Log, makePeer: (portal: LocalPortal) => Peer) {
    this.#config = config;
    this.#log = log;
    this.#watcher = new LinkWatcher((_peer, level, text) => log[level](text));
    this.#failures = new SendFailures(log);
    this.links = config.links.map((link, number) => new LinkSockets(number, link, config));
    this.peer = makePeer(this);
    this.initiator = new Initiator({
      clientId: config.clientId,
      key: config.key,
      suite: config.tunnel.encrypt ? SUITE.aes128Gcm : SUITE.hmacSha256,
      dataTag: config.tunnel.encrypt ? 16 : config.tunnel.tagOctets,
      links: config.links.map(({ transports }, number) => ({ number, transports })),
      rekeyAfterUs: config.rekeySeconds * SECOND,
      random: randomBytes,
    });
  }

  /** Opens what can be opened. @throws MpfwdError ERR_PRIVILEGE */
  async open(data: DataPath): Promise<void> {
    this.#data = data;
    this.#contexts = new Contexts(data);
    data.ladders = new Ladders(data, this.#contexts, (peer, link, change) =>
      this.#switched(peer, link, change),
    );
    data.peers.push(this.peer);
    this.#makeLinks();
    const shared = { links: this.links, peer: this.peer, data, log: this.#log };
    this.#keeper = new SocketKeeper({
      ...{ ...shared, initiator: this.initiator },
      ...{ contexts: this.#contexts, drain: (nowUs) => this.#drain(nowUs) },
    });
    const tunnel = this.#config.tunnel.name;
    const onChange = () => this.onChange();
    this.#places = new LinkPlaces({ ...shared, tunnel, keeper: this.#keeper, onChange });
    await this.#places.open();
    this.#keeper.open();
  }

  start(nowUs: TimeUs): void {
    this.#keeper.start(nowUs);
    this.initiator.start(nowUs);
    this.#drain(nowUs);
  }

  close(nowUs: TimeUs): void {
    this.#closing = true;
    this.#keeper.close();
    this.#places.close();
    this.initiator.close(nowUs);
    this.#drain(nowUs);
  }

  ways(): Way[] {
    return this.links.map((link) => link.way);
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
    const from = this.#keeper.find(socket);
    if (from === undefined) return;
    const link = from.link.number;
    const { transport } = from.socket;
    const seq = arena.seq[slot] as number;
    const octets = arena.read(slot);
    this.initiator.handle(nowUs, { type, octets, seq, context, link, transport });
    this.#drain(nowUs);
  }

  /** Connected sockets hear one address only. */
  onSourceDiffers(_nowUs: TimeUs, _binding: Binding): void {}

  routeOf(_nowUs: TimeUs, handle: Handle): Route | undefined {
    return this.#keeper.routeOf(handle);
  }

  readonly hearsTcp = false;

  /** Nobody connects to a Local Portal; but the kernel has news for it. */
  accept(handle: Handle): boolean {
    return this.#places.serve(handle);
  }

  onSocketError(handle: Handle): boolean {
    if (this.#places.serve(handle)) return false;
    const { engine } = this.#data;
    const error = engine.takeErrors(handle);
    if (error === null) return true;
    this.#places.onError(engine.nowUs(), error);
    return this.#keeper.onError(engine.nowUs(), handle, error);
  }

  onSendFailure(peer: Peer, link: Link, transport: Transport, failure: SendFailure): void {
    const nowUs = this.#data.engine.nowUs();
    this.#failures.note(nowUs, "", peer, link, transport, failure);
  }

  onWritable(handle: Handle): void {
    this.#keeper.onWritable(this.#data.engine.nowUs(), handle);
  }

  visited(peer: Peer): void {
    this.#watcher.look(peer, (number) => this.#places.faultOf(number));
    if (!this.#closing) this.#keeper.hasten(this.#data.engine.nowUs());
  }

  tick(nowUs: TimeUs): void {
    if (this.#closing) return;
    if (this.initiator.deadlineUs() <= nowUs) {
      this.initiator.timeout(nowUs);
      this.#drain(nowUs);
    }
    this.#places.tick(nowUs);
    this.#askSilent(nowUs);
    if (this.#keeper.deadlineUs() <= nowUs) this.#keeper.tick(nowUs);
    if (nowUs < this.#housekeepingUs) return;
    this.#housekeepingUs = nowUs + HOUSEKEEPING_US;
    this.#tellUnanswered(nowUs);
    const worn = this.#config.tunnel.encrypt && this.peer.packetsUnderKeys > REKEY_PACKETS;
    if (worn) this.initiator.renew(nowUs);
    this.#keeper.tick(nowUs);
    this.#places.tickNames(nowUs);
    this.#drain(nowUs);
  }

  deadlineUs(): TimeUs {
    const deadlineUs = Math.min(this.initiator.deadlineUs(), this.#places.deadlineUs());
    return Math.min(deadlineUs, this.#keeper.deadlineUs(), this.#housekeepingUs, this.#askUs);
  }

  /**
   * Asks on every silent link whether the peer still knows us; the session limits how often. When all
   * are, somebody may have taken its place who does not.
   */
  #askSilent(nowUs: TimeUs): void {
    const silentUs = nowUs - this.peer.silentSinceUs;
    const hurried = silentUs >= 0 && silentUs < HURRY_US;
    const { links } = this.peer.bond;
    for (let index = 0; index < links.length; index += 1) {
      const link = links[index] as Link;
      const there = this.#places.faultOf(link.number) === undefined;
      if (link.life.tag === "down" && there) this.initiator.silent(nowUs, link.number, hurried);
    }
    this.#askUs = hurried ? nowUs + PING_HURRY_INTERVAL_US : NEVER;
    if (silentUs >= RENEW_AFTER_US) this.initiator.renew(nowUs);
    this.#drain(nowUs);
  }

  #switched(_peer: Peer, link: Link, change: TransportSwitch): void {
    this.#log.info(switchText(`link ${link.name}`, change));
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
    const attempts = this.links.map((link) => attemptOf(link, unanswered.sent));
    const { port, protocol } = this.#config;
    for (const line of unansweredLines(sinceUs, attempts, port, protocol)) this.#log.warn(line);
    // An old error must not decide the next diagnosis.
    for (const link of this.links) link.forgetErrors();
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
        this.#send(effect.link, effect.transport, effect.octets);
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
    if (continued) this.#log.info("new keys are in use");
    else this.#log.info("session with the Remote Portal established");
    this.peer.established = true;
  }

  /** Every configured link, so that status shows those that have no answer yet. */
  #makeLinks(): void {
    for (const { number } of this.links) this.peer.link(number);
  }

  #attached(nowUs: TimeUs, effect: Extract<InitiatorEffect, { tag: "attached" }>): void {
    const link = this.links[effect.link];
    const route = link?.of(effect.transport)?.route;
    if (link === undefined || route === undefined) return;
    this.#contexts.attached(nowUs, effect, route);
    const carrier = this.peer.carriers[link.number];
    // The others may be better.
    for (const other of link.each) {
      if (other.route === undefined || carrier?.has(other.route) === true) continue;
      this.#contexts.route(nowUs, this.peer, link.number, other.route);
    }
  }

  /** `transport` null: by all that the link has. */
  #send(number: number, transport: Transport | null, octets: Uint8Array): void {
    const { arena, engine } = this.#data;
    for (const socket of this.links[number]?.each ?? []) {
      if (socket.route === undefined) continue;
      if (transport !== null && socket.transport !== transport) continue;
      const slot = arena.take();
      if (slot < 0) return;
      arena.write(slot, octets);
      const sent = engine.sendPlain(socket.handle, slot, null);
      arena.give(slot);
      const failure = sent ? null : engine.sendFailure();
      if (failure?.code !== "EPERM") continue;
      socket.error = { count: failure.packets, code: failure.code, icmp: null };
    }
  }
}

function attemptOf(link: LinkSockets, sent: ReadonlyMap<number, number>): Attempt {
  const { failure, error, config } = link;
  return {
    name: config.name,
    transport: config.transport,
    remote: link.address ?? config.remote,
    sent: sent.get(link.number) ?? 0,
    ...(failure === undefined ? {} : { failure }),
    ...(error === undefined ? {} : { error }),
  };
}
