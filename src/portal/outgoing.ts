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
  readonly #shorter: number[] = [];

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
    if (disposed === count && counters[COUNTER.sendFailed] === failed) return;
    const failure = this.#engine.sendFailure();
    if (counters[COUNTER.sendFailed] !== failed && failure !== null) {
      this.#owner.onSendFailure(peer, link, route.transport, failure);
    }
    if (disposed < count) this.#wait(nowUs, peer, link, route.socket, failure, disposed > 0);
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
    progress: boolean,
  ): void {
    link.blocked = true;
    if (failure?.kept !== true) {
      this.#engine.setInterest(socket, READY.readable | READY.writable);
      return;
    }
    if (progress) peer.retryDelays[link.number] = 0;
    const before = peer.retryDelays[link.number] as number;
    if (before >= RETRY_MAX_US) this.#giveUpLong(link);
    const delayUs = Math.min(Math.max(2 * before, RETRY_MIN_US), RETRY_MAX_US);
    peer.retryDelays[link.number] = delayUs;
    peer.retries[link.number] = nowUs + delayUs;
    peer.retryUs = Math.min(peer.retryUs, nowUs + delayUs);
    link.sender.queueFull(nowUs);
  }

  /**
   * The first packet has been refused for 47 ms. Some devices refuse for ever what is too long for the one behind them,
   * and say that they are full (veth): nothing as long may hold up what is shorter.
   */
  #giveUpLong(link: Link): void {
    const { outbox, outboxCount } = link;
    const { length } = this.#arena;
    const octets = length[outbox[0] as number] as number;
    let refused = 0;
    this.#shorter.length = 0;
    for (let index = 0; index < outboxCount; index += 1) {
      const slot = outbox[index] as number;
      if ((length[slot] as number) < octets) this.#shorter.push(slot);
      else {
        outbox[refused] = slot;
        refused += 1;
      }
    }
    for (const [index, slot] of this.#shorter.entries()) outbox[refused + index] = slot;
    this.#dispose(link, refused);
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
