/**
 * A responder for a first trial: no TUN, no tunnel, probing sessions of one client only. What is sent
 * to whom is `probe/responder.ts`'s to bound; nobody without the key gets a single octet.
 */
import { randomBytes } from "node:crypto";
import { Arena } from "../core/arena.ts";
import { MpfwdError } from "../core/errors.ts";
import { PATH_AT, type Path, pathText, samePath } from "../core/path.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { TRANSPORTS, type Transport, transportNumber, transportOf } from "../core/transport.ts";
import { type ListenTarget, openListenSocket } from "../io/sockets.ts";
import { type Engine, type Handle, INFO_HOP_LIMIT_SHIFT, loadNative } from "../native/native.ts";
import { ProbeResponder } from "../probe/responder.ts";
import type { ResponderEffect } from "../session/effects.ts";
import { Responder } from "../session/responder.ts";
import { measureOf } from "../wire/measure.ts";
import { SUITE } from "../wire/offer.ts";
import { TYPE, typeOf } from "../wire/preamble.ts";
import { Pump, type PumpOwner } from "./pump.ts";
import { pathAt, type Wire, Wiring } from "./wiring.ts";

const SLOTS = 2048;
const DATA_TAG_MIN = 8;
/** Connections that have said nothing genuine end after this, and there are no more of them. */
const STRANGER_US = 10 * SECOND;
const STRANGERS_MAX = 16;

export interface ListeningOptions {
  /** 8 octets. */
  readonly clientId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
  readonly port: number;
  readonly protocol: number;
  /** Also heard, so that it can be told whether it passes. */
  readonly otherProtocol: number;
  readonly families: readonly (4 | 6)[];
  /** A line for whoever watches. */
  readonly say: (text: string) => void;
}

interface Listener {
  readonly target: ListenTarget;
  readonly handle: Handle;
}

interface Connection {
  readonly path: Path;
  readonly sinceUs: TimeUs;
  known: boolean;
}

interface Answering {
  readonly wire: Wire;
  readonly responder: ProbeResponder;
  /** Newest path by transport number. */
  readonly paths: (Path | undefined)[];
}

export class Listening implements PumpOwner {
  readonly #engine: Engine;
  readonly #arena = new Arena(SLOTS);
  readonly #wiring: Wiring;
  readonly #pump: Pump;
  readonly #responder: Responder;
  readonly #listeners: Listener[] = [];
  readonly #connections = new Map<Handle, Connection>();
  /** By context. */
  readonly #answering = new Map<number, Answering>();
  readonly #options: ListeningOptions;
  #stopped = false;

  /** Opens the sockets. @throws MpfwdError ERR_ADDON_MISSING, ERR_LINK or ERR_PRIVILEGE */
  constructor(options: ListeningOptions) {
    this.#options = options;
    const { clientId, key } = options;
    this.#engine = loadNative().createEngine(this.#arena.memory, SLOTS);
    this.#wiring = new Wiring(this.#engine, this.#arena);
    this.#pump = new Pump(this.#engine, this.#arena, this);
    this.#responder = new Responder({
      clients: [{ clientId, key, addresses: [] }],
      ...{ suite: SUITE.hmacSha256, dataTagMin: DATA_TAG_MIN, transports: TRANSPORTS },
      ...{ random: randomBytes, probeOnly: true },
    });
    for (const target of targetsOf(options)) this.#open(target);
    this.#engine.keepMangled(true);
  }

  start(): void {
    this.#responder.start(this.#engine.nowUs());
    this.#drain();
    this.#pump.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#responder.close(this.#engine.nowUs());
    this.#drain();
    this.#engine.destroy();
  }

  onAccept(nowUs: TimeUs, handle: Handle): boolean {
    const listener = this.#listeners.find((one) => one.handle === handle);
    if (listener?.target.transport !== "tcp") return false;
    const accepted = this.#engine.acceptSocket(handle);
    if (accepted === null) return true;
    this.#connections.set(accepted.handle, { path: accepted.path, sinceUs: nowUs, known: false });
    return true;
  }

  onMessage(nowUs: TimeUs, handle: Handle, slot: number): void {
    const path = pathAt(this.#arena, slot);
    const transport = transportOf(path[PATH_AT.transport] as number);
    if (transport === undefined) return;
    const connection = this.#connections.get(handle);
    if (connection !== undefined) connection.known = true;
    const context = this.#arena.context[slot] as number;
    const octets = this.#arena.read(slot);
    const type = typeOf(this.#arena, slot);
    const info = this.#arena.info[slot] as number;
    if (type === TYPE.control && measureOf(octets) !== undefined) {
      const answering = this.#answering.get(context);
      const hopLimit = (info >>> INFO_HOP_LIMIT_SHIFT) & 0xff;
      answering?.responder.handle(nowUs, octets, path, transport, info & 0xff, hopLimit);
      return;
    }
    const seq = this.#arena.seq[slot] as number;
    this.#responder.handle(nowUs, { type, octets, seq, context, path });
    this.#drain();
  }

  onWritable(): void {}

  onError(_nowUs: TimeUs, handle: Handle): void {
    this.#engine.takeErrors(handle);
    if (this.#connections.has(handle)) this.#drop(handle);
  }

  tick(nowUs: TimeUs): void {
    if (this.#stopped) return;
    if (this.#responder.deadlineUs() <= nowUs) {
      this.#responder.timeout(nowUs);
      this.#drain();
    }
    this.#dropStrangers(nowUs);
    const mangled = this.#engine.takeMangled();
    for (const answering of this.#answering.values()) {
      if (mangled?.linkId === answering.wire.id) answering.responder.mangled(mangled.octets);
      this.#answer(nowUs, answering);
    }
  }

  deadlineUs(): TimeUs {
    if (this.#stopped) return NEVER;
    let dueUs = this.#responder.deadlineUs();
    for (const { known, sinceUs } of this.#connections.values()) {
      if (!known) dueUs = Math.min(dueUs, sinceUs + STRANGER_US);
    }
    for (const { responder } of this.#answering.values()) {
      dueUs = Math.min(dueUs, responder.deadlineUs());
    }
    return dueUs;
  }

  #open(target: ListenTarget): void {
    try {
      this.#listeners.push({ target, handle: openListenSocket(this.#engine, target) });
    } catch (cause) {
      const optional = target.family === 6 && this.#options.families.length > 1;
      const privilege = cause instanceof MpfwdError && cause.code === "ERR_PRIVILEGE";
      if (!optional || privilege) throw cause;
    }
  }

  /** Not while events are being served: one of them may be of a connection that is closed here. */
  #dropStrangers(nowUs: TimeUs): void {
    if (this.#connections.size === 0) return;
    const strangers = [...this.#connections].filter(([, { known }]) => !known);
    const excess = strangers.length - STRANGERS_MAX;
    for (const [index, [handle, { sinceUs }]] of strangers.entries()) {
      if (index < excess || nowUs - sinceUs >= STRANGER_US) this.#drop(handle);
    }
  }

  #drop(handle: Handle): void {
    this.#connections.delete(handle);
    this.#engine.close(handle);
  }

  #answer(nowUs: TimeUs, { wire, responder, paths }: Answering): void {
    for (;;) {
      const answer = responder.poll(nowUs);
      if (answer === null) return;
      const { path, body, trafficClass } = answer;
      const transport = transportOf(path[PATH_AT.transport] as number) as Transport;
      const number = transportNumber(transport);
      const known = paths[number];
      if (known === undefined || !samePath(known, path)) {
        const socket = this.#socketFor(path);
        if (socket === 0) continue;
        this.#wiring.route(wire, transport, socket, transport === "tcp" ? null : path);
        paths[number] = path;
      }
      const unsent = this.#wiring.send(wire, transport, body, trafficClass);
      if (unsent !== null) responder.unsent(answer);
    }
  }

  #drain(): void {
    for (;;) {
      const effect = this.#responder.pollEffect();
      if (effect === undefined) return;
      this.#perform(effect);
    }
  }

  #perform(effect: ResponderEffect): void {
    switch (effect.tag) {
      case "send": {
        const socket = this.#socketFor(effect.path);
        const tcp = effect.path[PATH_AT.transport] === transportNumber("tcp");
        if (socket !== 0) this.#wiring.sendPlain(socket, effect.octets, tcp ? null : effect.path);
        break;
      }
      case "attached": {
        const wire = this.#wiring.wire(effect.context);
        if (wire === undefined || effect.path === null) break;
        this.#attached(wire, effect.transmitId, effect.path);
        break;
      }
      case "unlisten":
        this.#answering.delete(effect.context);
        this.#wiring.perform(effect);
        break;
      case "lost":
        this.#options.say("the probe has ended; waiting for the next one");
        break;
      default:
        this.#wiring.perform(effect);
    }
  }

  #attached(wire: Wire, transmitId: number, path: Path): void {
    wire.transmitId = transmitId;
    const transport = transportOf(path[PATH_AT.transport] as number);
    const socket = this.#socketFor(path);
    if (transport === undefined || socket === 0) return;
    this.#wiring.route(wire, transport, socket, transport === "tcp" ? null : path);
    const paths: Answering["paths"] = [];
    paths[transportNumber(transport)] = path;
    const responder = new ProbeResponder({ random: randomBytes });
    this.#answering.set(wire.context, { wire, responder, paths });
    this.#options.say(`link ${wire.link} of the probing side answers from ${pathText(path)}`);
  }

  /** The socket of ours that answers along a path; 0: none. */
  #socketFor(path: Path): Handle {
    const transport = transportOf(path[PATH_AT.transport] as number);
    if (transport === "tcp") {
      const found = [...this.#connections].find(([, known]) => samePath(known.path, path));
      return found?.[0] ?? 0;
    }
    const family = path[PATH_AT.family];
    const listener = this.#listeners.find(
      ({ target }) => target.transport === transport && target.family === family,
    );
    return listener?.handle ?? 0;
  }
}

/** The raw links' own number comes first: it is what answers. */
function targetsOf(options: ListeningOptions): ListenTarget[] {
  const { port, protocol, otherProtocol, families } = options;
  return families.flatMap((family) => {
    const form = { family, port, segmentation: false, arrivalHopLimit: true };
    const own = TRANSPORTS.map((transport) => ({ ...form, transport, protocol }));
    return [...own, { ...form, transport: "raw" as const, protocol: otherProtocol }];
  });
}
