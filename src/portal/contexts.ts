/**
 * Carries out what the session layer asks of keys and links, the same at both portals: contexts in
 * the addon, bindings in the data path, carriers of links.
 */
import type { TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import type { Attached, CommonEffect } from "../session/effects.ts";
import { outerOctets } from "../wire/overhead.ts";
import { TYPE } from "../wire/preamble.ts";
import { Carrier, type Route, type Transmits } from "./carrier.ts";
import type { DataPath } from "./datapath.ts";
import { CLASS_UNKNOWN, type Peer } from "./peer.ts";

type Effect<Tag extends CommonEffect["tag"]> = Extract<CommonEffect, { tag: Tag }>;

export class Contexts {
  readonly #data: DataPath;
  readonly #onRoute: (route: Route) => void;
  /** Octets of a DATA tag by context, learned when its keys come. */
  readonly #tagOctets = new Map<number, number>();

  /** @param onRoute - told of each way that messages of a link go from now on */
  constructor(data: DataPath, onRoute: (route: Route) => void = () => {}) {
    this.#data = data;
    this.#onRoute = onRoute;
  }

  /** Carries out the effects that need nothing but a peer; false: another kind. */
  perform(nowUs: TimeUs, effect: CommonEffect, peer: Peer): boolean {
    switch (effect.tag) {
      case "listen":
        this.#listen(effect);
        return true;
      case "listenLink":
        this.#listenLink(effect, peer);
        return true;
      case "unlisten":
        this.#unlisten(effect);
        return true;
      case "detached":
        this.#detached(nowUs, effect, peer);
        return true;
      case "sendControl":
        this.#sendControl(effect, peer);
        return true;
      default:
        return false;
    }
  }

  /** The link's messages may go along `route` from now on, the first of its transport or a new one. */
  attached(nowUs: TimeUs, effect: Attached, route: Route): void {
    const binding = this.#data.bindings.get(effect.context);
    if (binding === undefined) return;
    const { peer, transmits } = binding;
    const link = peer.link(effect.link);
    const before = peer.carriers[effect.link];
    link.transmitId = effect.transmitId;
    const renewed = before?.context !== effect.context;
    const tagOctets = this.#tagOctets.get(effect.context) ?? 0;
    const carrier = renewed
      ? new Carrier(effect.context, transmits, tagOctets, route.transport)
      : before;
    if (renewed) {
      if (before !== undefined) carrier.inherit(before);
      for (const known of carrier.routes) this.#point(carrier, known);
      peer.carriers[effect.link] = carrier;
      peer.useController(effect.link, carrier.transport);
    }
    // New keys on a way that goes on: what the ladder has learned of it still holds.
    if (!carrier.has(route)) this.route(nowUs, peer, effect.link, route);
    peer.ladders[effect.link]?.attached(nowUs, route.transport);
    this.#settle(peer, effect.link);
    link.attach(nowUs);
    peer.dirty = true;
  }

  /** The link's client answered from another address. */
  moved(nowUs: TimeUs, peer: Peer, number: number, context: number, route: Route): void {
    const carrier = peer.carriers[number];
    if (carrier === undefined || carrier.context !== context) return;
    this.route(nowUs, peer, number, route);
    peer.ladders[number]?.attached(nowUs, route.transport);
    if (carrier.transport === route.transport) peer.link(number).sender.moved();
  }

  /** Messages of one transport go along `route`. */
  route(nowUs: TimeUs, peer: Peer, number: number, route: Route): void {
    const carrier = peer.carriers[number];
    if (carrier === undefined) return;
    carrier.setRoute(route.transport, route);
    this.#point(carrier, route);
    this.#onRoute(route);
    peer.ladder(number).open(nowUs, route.transport);
    if (carrier.transport === route.transport) this.#settle(peer, number);
  }

  /** There is no socket for this transport any more. */
  unroute(nowUs: TimeUs, peer: Peer, number: number, transport: Transport): void {
    peer.carriers[number]?.setRoute(transport, undefined);
    peer.ladders[number]?.close(nowUs, transport);
    peer.dirty = true;
  }

  /** DATA goes by another transport. `intoTheDark`: what is under way will not arrive. */
  use(nowUs: TimeUs, peer: Peer, number: number, transport: Transport, intoTheDark: boolean): void {
    const carrier = peer.carriers[number];
    if (carrier === undefined) return;
    const link = peer.link(number);
    // What is stamped already leaves the old way.
    this.#data.outgoing.send(nowUs, peer, link);
    carrier.use(transport);
    peer.useController(number, transport);
    link.recarried(nowUs, intoTheDark);
    this.#settle(peer, number);
    peer.dirty = true;
  }

  #listen(effect: Effect<"listen">): void {
    const { id, context, keys } = effect;
    this.#data.engine.addReceive(id, { ...keys, context, transmits: [0, 0, 0] });
  }

  #listenLink(effect: Effect<"listenLink">, peer: Peer): void {
    const { engine } = this.#data;
    const { id, context, link } = effect;
    // The same keys once a transport: each has its own path and traffic class.
    const add = () => engine.addTransmit(effect.transmit);
    const transmits: Transmits = [add(), add(), add()];
    const continues = effect.continues !== 0;
    const after = (largest: number) => Math.min(largest + 1, Number.MAX_SAFE_INTEGER);
    const dataSeq = continues ? after(peer.link(link).receipts.largest) : 0;
    const controlSeq = continues ? after(peer.controlHeard[link] as number) : 0;
    engine.addReceive(id, { ...effect.receive, context, transmits, dataSeq, controlSeq });
    this.#data.bind({ id, context, transmits, peer, link });
    this.#tagOctets.set(context, effect.transmit.dataTag);
  }

  #unlisten(effect: Effect<"unlisten">): void {
    const binding = this.#data.bindings.get(effect.context);
    this.#data.engine.removeReceive(effect.id);
    if (binding === undefined) return;
    const carrier = binding.peer.carriers[binding.link];
    if (carrier?.context === effect.context) binding.peer.carriers[binding.link] = undefined;
    for (const transmit of binding.transmits) this.#data.engine.removeTransmit(transmit);
    this.#data.unbind(effect.context);
    this.#tagOctets.delete(effect.context);
  }

  #detached(nowUs: TimeUs, effect: Effect<"detached">, peer: Peer): void {
    const link = peer.bond.link(effect.link);
    if (peer.carriers[effect.link]?.context !== effect.context || link === undefined) return;
    // The goodbye may still be in the outbox.
    this.#data.outgoing.send(nowUs, peer, link);
    peer.carriers[effect.link] = undefined;
    peer.ladders[effect.link] = undefined;
    link.detach(nowUs);
    link.blocked = false;
    peer.dirty = true;
  }

  #sendControl(effect: Effect<"sendControl">, peer: Peer): void {
    const { arena } = this.#data;
    if (peer.carriers[effect.link]?.context !== effect.context) return;
    const slot = arena.take();
    if (slot < 0) return;
    arena.write(slot, effect.body);
    const link = peer.bond.link(effect.link);
    if (link === undefined || !link.sendControl(slot, TYPE.control)) arena.give(slot);
    peer.dirty = true;
  }

  #point(carrier: Carrier, { transport, socket, path }: Route): void {
    this.#data.engine.setPath(carrier.transmitOf(transport), socket, path);
  }

  /** What the link must know of the way its DATA goes. */
  #settle(peer: Peer, number: number): void {
    const carrier = peer.carriers[number];
    const route = carrier?.route;
    if (carrier === undefined || route === undefined) return;
    const link = peer.link(number);
    link.carriageOctets = outerOctets(route.transport, route.family) + carrier.tagOctets;
    // Another socket may have room; the old one will never say so.
    link.blocked = false;
    peer.trafficClasses[number] = CLASS_UNKNOWN;
  }
}
