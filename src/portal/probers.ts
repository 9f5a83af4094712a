/**
 * The far side of `mpfwd probe` in a running Remote Portal: a session of its own for each probing client,
 * without bond and without inner packets. Keeps its contexts and ways; what is measured and answered is
 * the responder's (`probe/responder.ts`).
 */
import { randomBytes } from "node:crypto";
import type { Path } from "../core/path.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { transportNumber } from "../core/transport.ts";
import { COUNTER, type Handle } from "../native/native.ts";
import { ProbeResponder } from "../probe/responder.ts";
import type { CommonEffect, ResponderEffect } from "../session/effects.ts";
import { PREAMBLE_OCTETS, pushPreamble, TYPE } from "../wire/preamble.ts";
import type { Route, Transmits } from "./carrier.ts";
import type { DataPath } from "./datapath.ts";
import { type Listeners, pathOf } from "./listeners.ts";

type Effect<Tag extends CommonEffect["tag"]> = Extract<CommonEffect, { tag: Tag }>;
type PeerEffect = Extract<ResponderEffect, { readonly peer: number }>;

/** CONTROL bodies of measurements begin with one of these (`wire/measure.ts`). */
const SUBTYPE_FIRST = 6;
const SUBTYPE_LAST = 9;
/** Messages sent before others get their turn. */
const SENDS_MAX = 64;

interface ProbeLink {
  readonly id: number;
  readonly context: number;
  readonly transmits: Transmits;
  readonly responder: ProbeResponder;
  transmitId: number;
  controlSeq: number;
  /** Where the session's own messages go. */
  home: Path | undefined;
}

export class Probers {
  readonly #data: DataPath;
  readonly #listeners: Listeners;
  readonly #links = new Map<number, ProbeLink>();
  readonly #batch = new Int32Array(1);

  constructor(data: DataPath, listeners: Listeners) {
    this.#data = data;
    this.#listeners = listeners;
  }

  /** Whether this is the receive context of a probing client's link. */
  knows(context: number): boolean {
    return this.#links.has(context);
  }

  /** Carries out what the session layer asks of a probing client. */
  perform(effect: PeerEffect): void {
    switch (effect.tag) {
      case "listenLink":
        this.#listen(effect);
        break;
      case "attached":
        this.#attach(effect.context, effect.transmitId, effect.path);
        break;
      case "moved":
        this.#attach(effect.context, undefined, effect.path);
        break;
      case "sendControl":
        this.#sendControl(effect);
        break;
      default:
    }
  }

  /** Forgets a link; false: it is none of ours. */
  unlisten(context: number): boolean {
    const link = this.#links.get(context);
    if (link === undefined) return false;
    this.#data.engine.removeReceive(link.id);
    for (const transmit of link.transmits) this.#data.engine.removeTransmit(transmit);
    this.#links.delete(context);
    if (this.#links.size > 0) return true;
    this.#data.engine.keepMangled(false);
    this.#listeners.tellHopLimits(false);
    return true;
  }

  /** A CONTROL message in a slot; false: not a measurement of a probing client. */
  receive(nowUs: TimeUs, handle: Handle, slot: number): boolean {
    const { arena } = this.#data;
    const link = this.#links.get(arena.context[slot] as number);
    if (link === undefined) return false;
    this.#listeners.confirm(nowUs, handle, arena.context[slot] as number);
    this.#listeners.settle(handle);
    const subtype = arena.octets[(arena.start[slot] as number) + PREAMBLE_OCTETS] as number;
    if (subtype < SUBTYPE_FIRST || subtype > SUBTYPE_LAST) return false;
    const path = pathOf(arena.paths, slot);
    const route = this.#listeners.routeOf(handle, path);
    if (route === undefined) return true;
    const info = arena.info[slot] as number;
    const octets = arena.read(slot);
    link.responder.handle(nowUs, octets, path, route.transport, info & 0xff, (info >>> 16) & 0xff);
    this.#answer(nowUs, link);
    return true;
  }

  tick(nowUs: TimeUs): void {
    if (this.#links.size === 0) return;
    this.#takeMangled();
    for (const link of this.#links.values()) {
      if (link.responder.deadlineUs() <= nowUs) this.#answer(nowUs, link);
    }
  }

  deadlineUs(): TimeUs {
    let deadlineUs = NEVER;
    for (const { responder } of this.#links.values()) {
      deadlineUs = Math.min(deadlineUs, responder.deadlineUs());
    }
    return deadlineUs;
  }

  /** What came under a link's id and does not bear its tag: an altered measurement, perhaps. */
  #takeMangled(): void {
    const mangled = this.#data.engine.takeMangled();
    if (mangled === null) return;
    for (const link of this.#links.values()) {
      if (link.id === mangled.linkId) link.responder.mangled(mangled.octets);
    }
  }

  #listen({ id, context, receive, transmit }: Effect<"listenLink">): void {
    const { engine } = this.#data;
    const add = () => engine.addTransmit(transmit);
    const transmits: Transmits = [add(), add(), add()];
    // Every way is answered: where a message came from is part of what is measured.
    engine.addReceive(id, { ...receive, context, transmits: [0, 0, 0] });
    const responder = new ProbeResponder({ random: randomBytes });
    engine.keepMangled(true);
    this.#listeners.tellHopLimits(true);
    this.#links.set(context, {
      ...{ id, context, transmits, responder, transmitId: 0, controlSeq: 0, home: undefined },
    });
  }

  #attach(context: number, transmitId: number | undefined, path: Path | null): void {
    const link = this.#links.get(context);
    if (link === undefined || path === null) return;
    if (transmitId !== undefined) link.transmitId = transmitId;
    link.home = path;
  }

  #sendControl({ context, body }: Effect<"sendControl">): void {
    const link = this.#links.get(context);
    // A connection may be gone meanwhile, and another one may stand along the same path.
    const route = link?.home === undefined ? undefined : this.#listeners.routeFor(link.home);
    if (link !== undefined && route !== undefined) this.#send(link, route, body, 0);
  }

  #answer(nowUs: TimeUs, link: ProbeLink): void {
    for (let count = 0; count < SENDS_MAX; count += 1) {
      const answer = link.responder.poll(nowUs);
      if (answer === null) return;
      const route = this.#listeners.routeFor(answer.path);
      if (route === undefined) continue;
      const left = this.#send(link, route, answer.body, answer.trafficClass);
      if (!left) link.responder.unsent(answer);
    }
  }

  /** False: it did not leave this machine. */
  #send(link: ProbeLink, route: Route, body: Uint8Array, trafficClass: number): boolean {
    const { arena, engine } = this.#data;
    const slot = arena.take();
    if (slot < 0) return false;
    const before = this.#kept();
    const transmit = link.transmits[transportNumber(route.transport)] as number;
    arena.write(slot, body);
    pushPreamble(arena, slot, TYPE.control, 0, link.transmitId, link.controlSeq);
    link.controlSeq += 1;
    engine.setPath(transmit, route.socket, route.path);
    engine.setTrafficClass(transmit, trafficClass);
    this.#batch[0] = slot;
    const disposed = engine.send(transmit, this.#batch, 1);
    arena.give(slot);
    return disposed === 1 && this.#kept() === before;
  }

  /** Packets that a firewall or a missing way of this machine has kept. */
  #kept(): number {
    const { counters } = this.#data.arena;
    return (counters[COUNTER.sendRefused] ?? 0) + (counters[COUNTER.sendUnreachable] ?? 0);
  }
}
