/**
 * Carries out what the session layer asks of keys and links, the same at both portals: contexts in
 * the addon, bindings in the data path, carriers of links.
 */
import { PATH_AT, type Path } from "../core/path.ts";
import type { TimeUs } from "../core/time.ts";
import type { Handle } from "../native/native.ts";
import type { Attached, CommonEffect } from "../session/effects.ts";
import { outerOctets } from "../wire/overhead.ts";
import { TYPE } from "../wire/preamble.ts";
import type { DataPath } from "./datapath.ts";
import type { Carrier, Peer } from "./peer.ts";

type Effect<Tag extends CommonEffect["tag"]> = Extract<CommonEffect, { tag: Tag }>;

/** What carries a link, as far as only the portal knows. */
export interface Carriage {
  readonly socket: Handle;
  readonly transport: "raw" | "udp";
  readonly family: 4 | 6;
}

export class Contexts {
  readonly #data: DataPath;
  /** Octets of a DATA tag by context, learned when its keys come. */
  readonly #tagOctets = new Map<number, number>();

  constructor(data: DataPath) {
    this.#data = data;
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

  #listen(effect: Effect<"listen">): void {
    const { id, context, keys } = effect;
    this.#data.engine.addReceive(id, { ...keys, context, transmits: [0, 0, 0] });
  }

  #listenLink(effect: Effect<"listenLink">, peer: Peer): void {
    const { engine } = this.#data;
    const { id, context, link } = effect;
    const transmit = engine.addTransmit(effect.transmit);
    const continues = effect.continues !== 0;
    const dataSeq = continues ? peer.link(link).receipts.largest + 1 : 0;
    const controlSeq = continues ? (peer.controlHeard[link] as number) + 1 : 0;
    const transmits = [transmit, transmit, transmit] as const;
    engine.addReceive(id, { ...effect.receive, context, transmits, dataSeq, controlSeq });
    this.#data.bind({ id, context, transmit, peer, link });
    this.#tagOctets.set(context, effect.transmit.dataTag);
  }

  #unlisten(effect: Effect<"unlisten">): void {
    const binding = this.#data.bindings.get(effect.context);
    this.#data.engine.removeReceive(effect.id);
    if (binding === undefined) return;
    const carrier = binding.peer.carriers[binding.link];
    if (carrier?.context === effect.context) binding.peer.carriers[binding.link] = undefined;
    this.#data.engine.removeTransmit(binding.transmit);
    this.#data.unbind(effect.context);
    this.#tagOctets.delete(effect.context);
  }

  attached(nowUs: TimeUs, effect: Attached, carriage: Carriage): void {
    const binding = this.#data.bindings.get(effect.context);
    if (binding === undefined) return;
    const link = binding.peer.link(effect.link);
    // A fresh transmit context marks nothing yet.
    if (binding.peer.carriers[effect.link]?.transmit !== binding.transmit) {
      binding.peer.trafficClasses[effect.link] = 0;
    }
    link.transmitId = effect.transmitId;
    this.#carry(binding.peer, effect.link, {
      ...carriage,
      context: effect.context,
      transmit: binding.transmit,
      path: effect.path,
      tagOctets: this.#tagOctets.get(effect.context) ?? 0,
    });
    link.attach(nowUs);
    binding.peer.dirty = true;
  }

  /** The link's packets go another way from now on. */
  moved(peer: Peer, number: number, context: number, path: Path | null, carriage: Carriage): void {
    const carrier = peer.carriers[number];
    if (carrier === undefined || carrier.context !== context) return;
    this.#carry(peer, number, { ...carrier, ...carriage, path });
    peer.link(number).sender.moved();
  }

  #detached(nowUs: TimeUs, effect: Effect<"detached">, peer: Peer): void {
    const link = peer.bond.link(effect.link);
    if (peer.carriers[effect.link]?.context !== effect.context || link === undefined) return;
    // The goodbye may still be in the outbox.
    this.#data.outgoing.send(peer, link);
    peer.carriers[effect.link] = undefined;
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

  #carry(peer: Peer, number: number, carrier: Carrier): void {
    this.#data.engine.setPath(carrier.transmit, carrier.socket, carrier.path);
    peer.carriers[number] = carrier;
    const link = peer.link(number);
    link.carriageOctets = outerOctets(carrier.transport, carrier.family) + carrier.tagOctets;
    // Another socket may have room; the old one will never say so.
    link.blocked = false;
  }
}

/** Transport and family of a path. */
export function kindOf(path: Path): { transport: "raw" | "udp"; family: 4 | 6 } {
  return {
    transport: path[PATH_AT.transport] === 0 ? "raw" : "udp",
    family: path[PATH_AT.family] === 6 ? 6 : 4,
  };
}
