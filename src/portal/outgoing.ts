/** What bonds have stamped goes to the sockets: one call a link and batch, and what a full socket leaves waits. */
import type { Arena } from "../core/arena.ts";
import type { TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";
import { type Engine, type Handle, READY } from "../native/native.ts";
import type { Peer } from "./peer.ts";

export class Outgoing {
  readonly #engine: Engine;
  readonly #arena: Arena;

  constructor(engine: Engine, arena: Arena) {
    this.#engine = engine;
    this.#arena = arena;
  }

  /** Sends what window, pace and sockets let go now. */
  flush(nowUs: TimeUs, peer: Peer): void {
    peer.dirty = false;
    peer.touched = true;
    const { bond } = peer;
    for (;;) {
      const more = bond.pull(nowUs);
      for (let index = 0; index < bond.links.length; index += 1) {
        const link = bond.links[index] as Link;
        if (link.outboxCount > 0 && !link.blocked) this.send(peer, link);
      }
      if (!more) return;
    }
  }

  /** Hands a link's outbox to its socket; without a carrier it is given up. */
  send(peer: Peer, link: Link): void {
    const carrier = peer.carriers[link.number];
    if (carrier !== undefined) this.#mark(peer, link, carrier.transmit);
    const count = link.outboxCount;
    // Without a route nothing leaves: the link's silence will show.
    const route = carrier?.route;
    const disposed =
      carrier === undefined || route === undefined
        ? count
        : this.#engine.send(carrier.transmit, link.outbox, count);
    for (let index = 0; index < disposed; index += 1) {
      this.#arena.give(link.outbox[index] as number);
    }
    link.drained(disposed);
    if (disposed === count || route === undefined) return;
    link.blocked = true;
    this.#engine.setInterest(route.socket, READY.readable | READY.writable);
  }

  /** What outer packets carry changes seldom; the addon remembers it. */
  #mark(peer: Peer, link: Link, transmit: number): void {
    const { trafficClass } = link;
    if (peer.trafficClasses[link.number] === trafficClass) return;
    peer.trafficClasses[link.number] = trafficClass;
    this.#engine.setTrafficClass(transmit, trafficClass);
  }

  /** The socket has room again. */
  unblock(handle: Handle, peers: readonly Peer[]): void {
    this.#engine.setInterest(handle, READY.readable);
    for (const peer of peers) {
      for (const link of peer.bond.links) {
        if (!link.blocked || peer.carriers[link.number]?.route?.socket !== handle) continue;
        link.blocked = false;
        peer.dirty = true;
      }
    }
  }
}
