/**
 * The Remote Portal: many clients, the responder's side of their sessions, one socket a family and
 * transport. Inner addresses decide whose a packet is, in both directions.
 */
import { randomBytes } from "node:crypto";
import { PATH_OCTETS } from "../core/arena.ts";
import { MpfwdError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { localText, type Path, pathText } from "../core/path.ts";
import type { TimeUs } from "../core/time.ts";
import { type ListenTarget, openListenSocket } from "../io/sockets.ts";
import { type Handle, SUITE } from "../native/native.ts";
import type { ResponderEffect } from "../session/effects.ts";
import { Responder } from "../session/responder.ts";
import { destinationAt, ipVersion, sourceAt } from "../wire/inner.ts";
import { TYPE, typeOf } from "../wire/preamble.ts";
import type { ClientConfig, RemoteConfig } from "./config.ts";
import { type Carriage, Contexts, kindOf } from "./contexts.ts";
import type { Binding, DataPath, DataPathOwner } from "./datapath.ts";
import type { Peer } from "./peer.ts";
import { PrefixTable } from "./prefixes.ts";
import { readSessions, writeSessions } from "./sessions-file.ts";
import { LinkWatcher } from "./watcher.ts";

interface Listener extends ListenTarget {
  readonly handle: Handle;
}

export class RemotePortal implements DataPathOwner {
  readonly responder: Responder;
  readonly #config: RemoteConfig;
  readonly #log: Log;
  readonly #stateDirectory: string;
  readonly #inner: PrefixTable;
  readonly #watcher: LinkWatcher;
  readonly #listeners: Listener[] = [];
  readonly #makePeer: (index: number, client: ClientConfig) => Peer;
  #data!: DataPath;
  #contexts!: Contexts;

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
    this.#watcher = new LinkWatcher(log);
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
    this.#contexts = new Contexts(data);
    for (const [index, client] of this.#config.clients.entries()) {
      data.peers.push(this.#makePeer(index, client));
    }
    for (const target of listenTargets(this.#config)) this.#listen(target);
  }

  start(nowUs: TimeUs): void {
    this.responder.start(nowUs);
    this.#drain(nowUs);
  }

  close(nowUs: TimeUs): void {
    this.responder.close(nowUs);
    this.#drain(nowUs);
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

  onMessage(nowUs: TimeUs, _socket: Handle, slot: number): void {
    const { arena } = this.#data;
    const context = arena.context[slot] as number;
    const type = typeOf(arena, slot);
    const binding = this.#data.bindingOf(context);
    if (binding !== undefined && type === TYPE.control) this.#data.noteControl(binding, slot);
    const path = arena.paths.slice(slot * PATH_OCTETS, (slot + 1) * PATH_OCTETS);
    const seq = arena.seq[slot] as number;
    this.responder.handle(nowUs, { type, octets: arena.read(slot), seq, context, path });
    this.#drain(nowUs);
  }

  onSourceDiffers(nowUs: TimeUs, binding: Binding, slot: number, path: Path): void {
    const octets = this.#data.arena.length[slot] as number;
    this.responder.sourceDiffers(nowUs, binding.context, path, octets);
    this.#drain(nowUs);
  }

  onSocketError(handle: Handle): void {
    // Which client an ICMP error belongs to does not matter: silence decides. Clearing it does.
    this.#data.engine.takeErrors(handle);
  }

  visited(peer: Peer): void {
    this.#watcher.look(peer, peer.name);
  }

  tick(nowUs: TimeUs): void {
    if (this.responder.deadlineUs() <= nowUs) {
      this.responder.timeout(nowUs);
      this.#drain(nowUs);
    }
  }

  deadlineUs(): TimeUs {
    return this.responder.deadlineUs();
  }

  #listen(target: ListenTarget): void {
    try {
      this.#listeners.push({ ...target, handle: openListenSocket(this.#data.engine, target) });
    } catch (cause) {
      // A machine without IPv6 serves IPv4; an address that was asked for must be there.
      const optional = target.family === 6 && target.source === undefined;
      if (!optional || !(cause instanceof MpfwdError) || cause.code === "ERR_PRIVILEGE")
        throw cause;
      this.#log.warn(`${cause.message}; serving IPv4 only`);
    }
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
        this.#contexts.perform(nowUs, effect, peers[0] as Peer);
        break;
      default:
        this.#performFor(nowUs, effect, peers[effect.peer] as Peer);
    }
  }

  #performFor(
    nowUs: TimeUs,
    effect: Extract<ResponderEffect, { readonly peer: number }>,
    peer: Peer,
  ): void {
    switch (effect.tag) {
      case "established":
        if (!effect.continued) peer.reset();
        if (!peer.established) this.#log.info(`${peer.name}: session established`);
        peer.established = true;
        break;
      case "lost":
        peer.established = false;
        this.#log.info(`${peer.name}: session ended (${effect.reason})`);
        break;
      case "attached": {
        const carriage = effect.path === null ? undefined : this.#carriage(effect.path);
        if (carriage !== undefined) this.#contexts.attached(nowUs, effect, carriage);
        break;
      }
      case "moved": {
        const { link, context, path } = effect;
        const carriage = this.#carriage(path);
        this.#log.info(`${peer.name}: link ${link} moved to ${pathText(path)}`);
        if (carriage !== undefined) this.#contexts.moved(peer, link, context, path, carriage);
        break;
      }
      default:
        this.#contexts.perform(nowUs, effect, peer);
    }
  }

  /** The socket of ours that answers along a path. */
  #carriage(path: Path): Carriage | undefined {
    const kind = kindOf(path);
    const listener = this.#listeners.find(
      ({ transport, family, source }) =>
        transport === kind.transport &&
        family === kind.family &&
        (source === undefined || source === localText(path)),
    );
    return listener === undefined ? undefined : { ...kind, socket: listener.handle };
  }

  #send(path: Path, octets: Uint8Array): void {
    const carriage = this.#carriage(path);
    if (carriage === undefined) return;
    const { arena, engine } = this.#data;
    const slot = arena.take();
    if (slot < 0) return;
    arena.write(slot, octets);
    engine.sendPlain(carriage.socket, slot, path);
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
  return sources.flatMap((source) =>
    transports.map((transport) => ({
      ...source,
      ...{ transport, port, protocol, segmentation: tunnel.offload },
    })),
  );
}
