/**
 * What bonds have stamped goes to the sockets: one call a link and batch. What a full socket leaves waits until it
 * is writable, what a full device leaves for a moment (docs/failover.md, "Overload").
 */
import type { Arena } from "../core/arena.ts";
import { MS, NEVER, type TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";
import { COUNTER, type Engine, type Handle, READY, type SendFailure } from "../native/native.ts";
import type { DataPathOwner } from "./owner.ts";
import type { Peer } from "./peer.ts";

/**
 * A full device is tried again after this long, doubled while it takes nothing: no event says that it has room. A
 * full packet takes 1.2 ms at 10 Mbit/s, so hardly any link runs dry, and a stuck one costs little.
 */
const RETRY_MIN_US = 1 * MS;
const RETRY_MAX_US = 16 * MS;

export class Outgoing {
  readonly #engine: Engine;
  readonly #arena: Arena;

  readonly #owner: Pick<DataPathOwner, "onSendFailure">;
  /** Links whose devices have taken nothing for a while: packets at the front that are shorter than the refused one. */
  readonly #refused = new WeakMap<Link, { readonly short: number }>();

  constructor(engine: Engine, arena: Arena, owner: Pick<DataPathOwner, "onSendFailure">) {
    this.#engine = engine;
    this.#arena = arena;
    this.#owner = owner;
  }

  /** Sends what window, pace and sockets let go now. */
  flush(nowUs: TimeUs, peer: Peer): void {
    peer.dirty = false;
    peer.touched = true;
    if (peer.retryUs <= nowUs) this.#retry(nowUs, peer);
    const { bond } = peer;
    for (;;) {
      const more = bond.pull(nowUs);
      for (let index = 0; index < bond.links.length; index += 1) {
        const link = bond.links[index] as Link;
        if (link.outboxCount > 0 && !link.blocked) this.send(nowUs, peer, link);
      }
      if (!more) return;
    }
  }

  /** Hands a link's outbox to its socket; without a carrier it is given up. */
  send(nowUs: TimeUs, peer: Peer, link: Link): void {
    const carrier = peer.carriers[link.number];
    // Without a route nothing leaves: the link's silence will show.
    const route = carrier?.route;
    const count = link.outboxCount;
    if (carrier === undefined || route === undefined) {
      this.#dispose(link, count);
      return;
    }
    this.#mark(peer, link, carrier.transmit);
    const { counters } = this.#arena;
    const failed = counters[COUNTER.sendFailed] as number;
    const disposed = this.#engine.send(carrier.transmit, link.outbox, count);
    this.#dispose(link, disposed);
    if (disposed === count) {
      if (peer.retryDelays[link.number] !== 0) this.#recovered(peer, link);
      if (counters[COUNTER.sendFailed] === failed) return;
    }
    const failure = this.#engine.sendFailure();
    if (counters[COUNTER.sendFailed] !== failed && failure !== null) {
      this.#owner.onSendFailure(peer, link, route.transport, failure);
    }
    if (disposed < count) this.#wait(nowUs, peer, link, route.socket, failure, disposed);
  }

  #dispose(link: Link, count: number): void {
    for (let index = 0; index < count; index += 1) this.#arena.give(link.outbox[index] as number);
    link.drained(count);
  }

  #wait(
    nowUs: TimeUs,
    peer: Peer,
    link: Link,
    socket: Handle,
    failure: SendFailure | null,
    disposed: number,
  ): void {
    link.blocked = true;
    if (failure?.kept !== true) {
      this.#engine.setInterest(socket, READY.readable | READY.writable);
      return;
    }
    const stuck = (peer.retryDelays[link.number] as number) >= RETRY_MAX_US;
    if (stuck) this.#passLong(link, disposed);
    if (disposed > 0) peer.retryDelays[link.number] = 0;
    const before = peer.retryDelays[link.number] as number;
    const delayUs = Math.min(Math.max(2 * before, RETRY_MIN_US), RETRY_MAX_US);
    peer.retryDelays[link.number] = delayUs;
    peer.retries[link.number] = nowUs + delayUs;
    peer.retryUs = Math.min(peer.retryUs, nowUs + delayUs);
    const sinceUs = Math.min(peer.fullSince[link.number] as number, nowUs);
    peer.fullSince[link.number] = sinceUs;
    // A burst may be too much for a moment; what stays full for a round trip is a bottleneck.
    if (nowUs - sinceUs < Math.max(link.rtt.srttUs, RETRY_MAX_US)) return;
    peer.fullSince[link.number] = nowUs;
    link.sender.queueFull(nowUs);
  }

  /** The device has taken all. */
  #recovered(peer: Peer, link: Link): void {
    peer.retryDelays[link.number] = 0;
    peer.fullSince[link.number] = NEVER;
  }

  /**
   * The first packet has been refused for 47 ms. Some devices refuse for ever what is too long for the one behind them,
   * and say that they are full (veth). So what is shorter goes first from then on; once that has been taken, and the
   * first is still refused, all that are as long are given up.
   */
  #passLong(link: Link, disposed: number): void {
    const { outbox, outboxCount } = link;
    const { length } = this.#arena;
    const octets = length[outbox[0] as number] as number;
    const { short: ahead } = this.#refused.get(link) ?? { short: 0 };
    const giveUp = disposed > 0 && disposed <= ahead;
    this.#refused.delete(link);
    if (disposed > 0 && !giveUp) return;
    const slots = outbox.slice(0, outboxCount);
    const long = slots.filter((slot) => (length[slot] as number) >= octets);
    const short = slots.filter((slot) => (length[slot] as number) < octets);
    outbox.set(giveUp ? long : short);
    outbox.set(giveUp ? short : long, giveUp ? long.length : short.length);
    if (giveUp) this.#dispose(link, long.length);
    else this.#refused.set(link, { short: short.length });
  }

  /** Links whose devices were full may try again. */
  #retry(nowUs: TimeUs, peer: Peer): void {
    peer.retryUs = NEVER;
    for (const link of peer.bond.links) {
      const dueUs = peer.retries[link.number] as number;
      if (dueUs > nowUs) {
        peer.retryUs = Math.min(peer.retryUs, dueUs);
        continue;
      }
      peer.retries[link.number] = NEVER;
      link.blocked = false;
    }
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
