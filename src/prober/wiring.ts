/**
 * Links as the addon knows them: carries out what the session layer asks of keys, numbers and seals
 * CONTROL messages of a link and sends them by any of its transports.
 */
import { type Arena, PATH_OCTETS } from "../core/arena.ts";
import type { Path } from "../core/path.ts";
import { type Transport, transportNumber } from "../core/transport.ts";
import { COUNTER, type Engine, type Handle } from "../native/native.ts";
import type { UnsentReason } from "../probe/measurement.ts";
import type { InitiatorEffect, ResponderEffect } from "../session/effects.ts";
import { pushPreamble, TYPE } from "../wire/preamble.ts";

/** One link under one set of keys. */
export interface Wire {
  readonly id: number;
  readonly context: number;
  readonly peer: number;
  readonly link: number;
  /** Transmit contexts by transport number. */
  readonly transmits: readonly [raw: number, udp: number, tcp: number];
  /** 0: not attached yet. */
  transmitId: number;
  /** Of the next CONTROL. */
  seq: number;
  /** Which transports have a socket and a path. */
  readonly routed: Set<Transport>;
}

/** Counters that say that a packet was dropped on its way out. */
const DROPS: readonly (readonly [counter: number, reason: UnsentReason])[] = [
  [COUNTER.sendNoBuffers, "noBuffers"],
  [COUNTER.sendRefused, "refused"],
  [COUNTER.sendUnreachable, "unreachable"],
  [COUNTER.sendTooBig, "tooBig"],
  [COUNTER.sendOtherError, "other"],
];

export class Wiring {
  readonly #engine: Engine;
  readonly #arena: Arena;
  readonly #wires = new Map<number, Wire>();
  readonly #one = new Int32Array(1);

  constructor(engine: Engine, arena: Arena) {
    this.#engine = engine;
    this.#arena = arena;
  }

  wire(context: number): Wire | undefined {
    return this.#wires.get(context);
  }

  /** Effects that need keys and nothing else; false: another kind. */
  perform(effect: InitiatorEffect | ResponderEffect): boolean {
    switch (effect.tag) {
      case "listen": {
        const { id, context, keys } = effect;
        this.#engine.addReceive(id, { ...keys, context, transmits: [0, 0, 0] });
        return true;
      }
      case "listenLink":
        this.#listenLink(effect);
        return true;
      case "unlisten":
        this.#unlisten(effect.id, effect.context);
        return true;
      case "addReset":
        this.#engine.addReset(effect.id, effect.token, effect.context);
        return true;
      case "removeReset":
        this.#engine.removeReset(effect.id);
        return true;
      case "addClient":
        this.#engine.addClient(effect.clientId, effect.key, effect.context);
        return true;
      case "sendControl":
        this.#sendControl(effect.context, effect.body);
        return true;
      default:
        return false;
    }
  }

  /** Where a link's messages go by a transport; `path` null on a connected socket. */
  route(wire: Wire, transport: Transport, socket: Handle, path: Path | null): void {
    const transmit = wire.transmits[transportNumber(transport)] as number;
    this.#engine.setPath(transmit, socket, path);
    wire.routed.add(transport);
  }

  /** Seals and sends a CONTROL body; says why when it did not leave. */
  send(
    wire: Wire,
    transport: Transport,
    body: Uint8Array,
    trafficClass: number,
  ): UnsentReason | null {
    const transmit = wire.transmits[transportNumber(transport)] as number;
    const slot = this.#arena.take();
    if (slot < 0 || wire.transmitId === 0 || !wire.routed.has(transport)) {
      if (slot >= 0) this.#arena.give(slot);
      return "other";
    }
    this.#arena.write(slot, body);
    pushPreamble(this.#arena, slot, TYPE.control, 0, wire.transmitId, wire.seq);
    wire.seq += 1;
    this.#one[0] = slot;
    const { counters } = this.#arena;
    const before = DROPS.map(([counter]) => counters[counter] as number);
    this.#engine.setTrafficClass(transmit, trafficClass);
    const disposed = this.#engine.send(transmit, this.#one, 1);
    this.#arena.give(slot);
    if (disposed === 0) return "blocked";
    const dropped = DROPS.find(([counter], index) => counters[counter] !== before[index]);
    return dropped?.[1] ?? null;
  }

  /** Sends a sealed message as it is. */
  sendPlain(socket: Handle, octets: Uint8Array, path: Path | null): void {
    const slot = this.#arena.take();
    if (slot < 0) return;
    this.#arena.write(slot, octets);
    this.#engine.sendPlain(socket, slot, path);
    this.#arena.give(slot);
  }

  #listenLink(effect: Extract<InitiatorEffect, { readonly tag: "listenLink" }>): void {
    const { id, context, peer, link } = effect;
    const add = () => this.#engine.addTransmit(effect.transmit);
    const transmits: Wire["transmits"] = [add(), add(), add()];
    this.#engine.addReceive(id, { ...effect.receive, context, transmits });
    const wire = { id, context, peer, link, transmits, transmitId: 0, seq: 0 };
    this.#wires.set(context, { ...wire, routed: new Set() });
  }

  #unlisten(id: number, context: number): void {
    this.#engine.removeReceive(id);
    const wire = this.#wires.get(context);
    if (wire === undefined) return;
    for (const transmit of wire.transmits) this.#engine.removeTransmit(transmit);
    // Somebody may still hold it.
    wire.transmitId = 0;
    wire.routed.clear();
    this.#wires.delete(context);
  }

  /** What the session says goes by every transport that has a way: one of them arrives. */
  #sendControl(context: number, body: Uint8Array): void {
    const wire = this.#wires.get(context);
    if (wire === undefined) return;
    for (const transport of wire.routed) this.send(wire, transport, body, 0);
  }
}

/** A copy of the path of a received message. */
export function pathAt(arena: Arena, slot: number): Path {
  return arena.paths.slice(slot * PATH_OCTETS, (slot + 1) * PATH_OCTETS);
}
