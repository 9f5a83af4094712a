/**
 * The Remote Portal: many clients, the responder's side of their sessions, the sockets they reach. Inner addresses decide whose a packet is, in both directions.
 */
import { randomBytes } from "node:crypto";
import type { Log } from "../core/log.ts";
import { type Path, pathText, samePath } from "../core/path.ts";
import type { TimeUs } from "../core/time.ts";
import { TRANSPORTS, type Transport } from "../core/transport.ts";
import type { ListenTarget } from "../io/sockets.ts";
import type { Link } from "../link/link.ts";
import { type Handle, type SendFailure, SUITE } from "../native/native.ts";
import type { ResponderEffect } from "../session/effects.ts";
import { Responder } from "../session/responder.ts";
import { destinationAt, ipVersion, sourceAt } from "../wire/inner.ts";
import { TYPE, typeOf } from "../wire/preamble.ts";
import { kindOf, type Route } from "./carrier.ts";
import type { ClientConfig, RemoteConfig } from "./config.ts";
import { Contexts } from "./contexts.ts";
import type { DataPath } from "./datapath.ts";
import { Ladders } from "./ladders.ts";
import { LinkNews } from "./link-news.ts";
import { Listeners, pathOf } from "./listeners.ts";
import type { Binding, DataPathOwner } from "./owner.ts";
import type { Peer } from "./peer.ts";
import { PrefixTable } from "./prefixes.ts";
import { Probers } from "./probers.ts";
import { type Level, RationedLog } from "./rationed-log.ts";
import { SendFailures } from "./send-failures.ts";
import { SessionNews } from "./session-news.ts";
import { readSessions, writeSessions } from "./sessions-file.ts";
import { LinkWatcher, switchText } from "./watcher.ts";

export class RemotePortal implements DataPathOwner {
  readonly responder: Responder;
  onChange: () => void = () => {};
  readonly #config: RemoteConfig;
  readonly #log: Log;
  readonly #stateDirectory: string;
  readonly #inner: PrefixTable;
  readonly #watcher: LinkWatcher;
  readonly #failures: SendFailures;
  readonly #moves: RationedLog;
  readonly #sessions: SessionNews;
  readonly #makePeer: (index: number, client: ClientConfig) => Peer;
  #data!: DataPath;
  #contexts!: Contexts;
  #listeners!: Listeners;
  #probers!: Probers;
  #news!: LinkNews;

  constructor(
    config: RemoteConfig,
    log: Log,
    stateDirectory: string,
    makePeer: (index: number, client: ClientConfig) => Peer,
  ) {
    this.#config = config;
    this.#log = log;
    this.#stateDirectory = stateDirectory;
    this.#makePeer = makePeer;
    this.#inner = new PrefixTable(config.clients.map(({ inner }) => inner));
    this.#watcher = new LinkWatcher((peer, level, text) => this.#tellOfLink(peer, level, text));
    this.#failures = new SendFailures(log);
    this.#moves = new RationedLog(log);
    const names = config.clients.map(({ name }) => name);
    this.#sessions = new SessionNews(log, names);
    const record = readSessions(stateDirectory);
    this.responder = new Responder({
      clients: config.clients.map(({ clientId, key, inner }) => ({
        clientId,
        key,
        addresses: inner.map(({ family, address, bits }) => ({ family, address, bits })),
      })),
      suite: config.tunnel.encrypt ? SUITE.aes128Gcm : SUITE.hmacSha256,
      dataTagMin: config.tunnel.encrypt ? 16 : config.tunnel.tagOctets,
      transports: config.transports,
      random: randomBytes,
      ...(record === undefined ? {} : { record }),
    });
  }

  /** Opens the sockets. @throws MpfwdError ERR_LINK or ERR_PRIVILEGE */
  open(data: DataPath): void {
    this.#data = data;
    this.#listeners = new Listeners(data.engine, this.#log);
    this.#contexts = new Contexts(data, ({ socket }) => this.#listeners.settle(socket));
    this.#probers = new Probers(data, this.#listeners);
    this.#news = new LinkNews(data);
    data.ladders = new Ladders(
      ...([data, this.#contexts] as const),
      (peer, { name }, change) =>
        this.#tellOfLink(peer, "info", switchText(`link ${name}`, change)),
      (nowUs, binding, slot, path) => this.onSourceDiffers(nowUs, binding, slot, path),
    );
    for (const [index, client] of this.#config.clients.entries()) {
      data.peers.push(this.#makePeer(index, client));
    }
    const alone = this.#config.transports.length === 1;
    for (const target of listenTargets(this.#config)) this.#listeners.open(target, alone);
  }

  get hearsTcp(): boolean {
    return this.#config.transports.includes("tcp") && this.#listeners.hearsTcp;
  }

  start(nowUs: TimeUs): void {
    this.responder.start(nowUs);
    this.#drain(nowUs);
  }

  close(nowUs: TimeUs): void {
    this.responder.close(nowUs);
    this.#drain(nowUs);
  }

  /** Its devices belong to no link. */
  ways(): [] {
    return [];
  }

  peerOf(slot: number): Peer | undefined {
    const { arena, peers } = this.#data;
    const version = ipVersion(arena, slot);
    if (version === 0) return undefined;
    const owner = this.#inner.lookup(arena.view, destinationAt(arena, slot, version), version);
    const peer = peers[owner];
    return peer?.established === true ? peer : undefined;
  }

  admits(peer: Peer, slot: number): boolean {
    const { arena } = this.#data;
    const version = ipVersion(arena, slot);
    if (version === 0) return false;
    return this.#inner.lookup(arena.view, sourceAt(arena, slot, version), version) === peer.index;
  }

  onMessage(nowUs: TimeUs, socket: Handle, slot: number): void {
    const { arena } = this.#data;
    if (typeOf(arena, slot) === TYPE.control && this.#probers.receive(nowUs, socket, slot)) return;
    const context = arena.context[slot] as number;
    const type = typeOf(arena, slot);
    const binding = this.#data.bindingOf(context);
    const probes = this.#probers.knows(context);
    if (binding !== undefined || probes) this.#listeners.confirm(nowUs, socket, context);
    if (probes) this.#listeners.settle(socket);
    if (binding !== undefined && type === TYPE.control) this.#data.noteControl(binding, slot);
    const path = pathOf(arena.paths, slot);
    const seq = arena.seq[slot] as number;
    this.responder.handle(nowUs, { type, octets: arena.read(slot), seq, context, path });
    this.#drain(nowUs);
  }

  onSourceDiffers(nowUs: TimeUs, binding: Binding, slot: number, path: Path): void {
    const octets = this.#data.arena.length[slot] as number;
    const { context, peer, link } = binding;
    const transport = kindOf(path)?.transport;
    const proven = transport !== undefined && peer.ladders[link]?.proven(transport) === true;
    const settled = proven ? (peer.carriers[link]?.routeOf(transport)?.path ?? null) : null;
    this.responder.sourceDiffers(nowUs, context, path, octets, settled);
    this.#drain(nowUs);
  }

  onSocketError(handle: Handle): boolean {
    // Which client an ICMP error belongs to does not matter: silence decides. Clearing it does.
    this.#data.engine.takeErrors(handle);
    if (!this.#listeners.drop(handle)) return true;
    this.#loseConnection(this.#data.engine.nowUs(), handle);
    return false;
  }

  accept(handle: Handle): boolean {
    return this.#listeners.accept(this.#data.engine.nowUs(), handle);
  }

  /** Accepted connections stand already. */
  onSendFailure(peer: Peer, link: Link, transport: Transport, failure: SendFailure): void {
    const nowUs = this.#data.engine.nowUs();
    this.#failures.note(nowUs, peer.name, peer, link, transport, failure);
  }

  onWritable(): void {}

  routeOf(nowUs: TimeUs, handle: Handle, slot: number): Route | undefined {
    const { arena } = this.#data;
    this.#listeners.confirm(nowUs, handle, arena.context[slot] as number);
    return this.#listeners.routeOf(handle, pathOf(arena.paths, slot));
  }

  /** No link's messages may go to a socket that is closed: its number may be given again. */
  #loseConnection(nowUs: TimeUs, handle: Handle): void {
    for (const peer of this.#data.peers) {
      for (const { number } of peer.bond.links) {
        if (peer.carriers[number]?.routeOf("tcp")?.socket !== handle) continue;
        this.#contexts.unroute(nowUs, peer, number, "tcp");
      }
    }
  }

  visited(peer: Peer): void {
    this.#watcher.look(peer, (number) => this.#news.faultOf(peer, number));
  }

  #tellOfLink(peer: Peer, level: Level, text: string): void {
    this.#sessions.link(this.#data.engine.nowUs(), peer.index, level, text);
  }

  tick(nowUs: TimeUs): void {
    this.#listeners.tick(nowUs, (handle) => this.#loseConnection(nowUs, handle));
    this.#probers.tick(nowUs);
    this.#news.tick(nowUs);
    if (this.responder.deadlineUs() <= nowUs) {
      this.responder.timeout(nowUs);
      this.#drain(nowUs);
    }
  }

  deadlineUs(): TimeUs {
    const { responder } = this;
    const deadlineUs = Math.min(responder.deadlineUs(), this.#listeners.deadlineUs());
    return Math.min(deadlineUs, this.#probers.deadlineUs());
  }

  #drain(nowUs: TimeUs): void {
    for (;;) {
      const effect = this.responder.pollEffect();
      if (effect === undefined) return;
      this.#perform(nowUs, effect);
    }
  }

  #perform(nowUs: TimeUs, effect: ResponderEffect): void {
    const { engine, peers } = this.#data;
    switch (effect.tag) {
      case "send":
        this.#send(effect.path, effect.octets);
        break;
      case "addClient":
        engine.addClient(effect.clientId, effect.key, effect.context);
        break;
      case "persist":
        this.#persist(effect.record);
        break;
      case "note":
        this.#log[effect.level === "info" ? "info" : "warn"](effect.text);
        break;
      case "listen":
      case "unlisten":
        // These name a context, not a peer; any will do.
        if (effect.tag === "unlisten" && this.#probers.unlisten(effect.context)) return;
        this.#contexts.perform(nowUs, effect, peers[0] as Peer);
        break;
      default:
        this.#performFor(nowUs, effect);
    }
  }

  #performFor(nowUs: TimeUs, effect: Extract<ResponderEffect, { readonly peer: number }>): void {
    const peer = this.#data.peers[effect.peer];
    if (peer === undefined) {
      this.#performForProbe(nowUs, effect);
      return;
    }
    switch (effect.tag) {
      case "established":
        if (!effect.continued) peer.reset();
        if (!peer.established) this.#sessions.established(nowUs, peer.index);
        peer.established = true;
        break;
      case "lost":
        peer.established = false;
        this.#sessions.note(nowUs, peer.index, `session ended (${effect.reason})`);
        break;
      case "contested":
        this.#sessions.contested(nowUs, peer.index, effect.contenders);
        break;
      case "attached": {
        const route = effect.path === null ? undefined : this.#listeners.routeFor(effect.path);
        if (route !== undefined) this.#contexts.attached(nowUs, effect, route);
        break;
      }
      case "moved": {
        const { link, context, path } = effect;
        const route = this.#listeners.routeFor(path);
        this.#moves.info(nowUs, `${peer.name}: link ${link} moved to ${pathText(path)}`);
        if (route !== undefined) this.#contexts.moved(nowUs, peer, link, context, route);
        break;
      }
      case "rerouted": {
        const { link, context, before, path } = effect;
        const route = this.#listeners.routeFor(path);
        const settled = route && peer.carriers[link]?.routeOf(route.transport)?.path;
        if (settled == null || route === undefined || !samePath(settled, before)) return;
        const what = `${peer.name}: link ${link} by ${route.transport}`;
        this.#moves.info(nowUs, `${what} moved to ${pathText(path)}`);
        this.#contexts.moved(nowUs, peer, link, context, route);
        break;
      }
      default:
        this.#contexts.perform(nowUs, effect, peer);
    }
  }

  /** A probing session has no peer: its number follows those of the clients. */
  #performForProbe(
    nowUs: TimeUs,
    effect: Extract<ResponderEffect, { readonly peer: number }>,
  ): void {
    const client = effect.peer - this.#config.clients.length;
    if (effect.tag === "established")
      this.#sessions.note(nowUs, client, "a probe measures the paths");
    if (effect.tag === "lost") this.#sessions.note(nowUs, client, "the probe has ended");
    this.#probers.perform(effect);
  }

  #send(path: Path, octets: Uint8Array): void {
    const route = this.#listeners.routeFor(path);
    if (route === undefined) return;
    const { arena, engine } = this.#data;
    const slot = arena.take();
    if (slot < 0) return;
    arena.write(slot, octets);
    engine.sendPlain(route.socket, slot, path);
    arena.give(slot);
  }

  #persist(record: Uint8Array): void {
    try {
      writeSessions(this.#stateDirectory, record);
    } catch (cause) {
      this.#log.warn(`cannot keep the sessions in ${this.#stateDirectory}: ${String(cause)}`);
    }
  }
}

function listenTargets(config: RemoteConfig): ListenTarget[] {
  const { port, protocol, tunnel, transports } = config;
  const sources: { family: 4 | 6; source?: string }[] =
    config.listen.length === 0
      ? [{ family: 4 }, { family: 6 }]
      : config.listen.map((source) => ({ family: source.includes(":") ? 6 : 4, source }));
  const listened = TRANSPORTS.filter((transport) => transports.includes(transport));
  return sources.flatMap((source) =>
    listened.map((transport) => ({
      ...source,
      ...{ transport, port, protocol, segmentation: tunnel.offload },
    })),
  );
}
