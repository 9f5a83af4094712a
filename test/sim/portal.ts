/**
 * One end of an emulated tunnel: a real bond driven as `src/portal/datapath.ts` drives it (batch in,
 * deliver, tick, pull and drain, one timer), with pipes for sockets and traffic models for a TUN.
 */
import { Bond } from "../../src/bond/bond.ts";
import type { Arena } from "../../src/core/arena.ts";
import type { SeededRandom } from "../../src/core/random.ts";
import { NEVER, type TimeUs } from "../../src/core/time.ts";
import type { Link } from "../../src/link/link.ts";
import { TYPE, typeOf } from "../../src/wire/preamble.ts";
import type { EventQueue, Process } from "./events.ts";
import { destinationPortOf, MEANING_OCTETS, takeSlot } from "./packets.ts";
import type { Pipe, Receiver } from "./pipe.ts";

/** IPv4 header and tag. */
export const CARRIAGE_OCTETS = 30;
/** Messages taken in before what they set free is delivered. */
const BATCH = 128;

/** A traffic model's end. Slots stay the caller's. */
export interface Endpoint {
  receive(nowUs: TimeUs, slot: number): void;
  /** All packets of a batch have been received: acknowledge what came together. */
  endBatch(nowUs: TimeUs): void;
}

/** Where a traffic model puts its packets: the slot is taken over. */
export interface Outlet {
  send(nowUs: TimeUs, slot: number): void;
}

/** A traffic model that fills the queue whenever there is room. */
export interface Source {
  refill(nowUs: TimeUs): void;
}

interface Carrier {
  readonly pipe: Pipe;
  readonly port: number;
}

export interface PortalOptions {
  readonly arena: Arena;
  readonly events: EventQueue;
  readonly random: SeededRandom;
  /** Timers are late by a random time up to this. */
  readonly timerNoiseUs: number;
}

export class Portal implements Process, Outlet {
  readonly bond: Bond;
  /** Mixed from every delivered packet and its moment: equal for equal runs. */
  hash = 0x811c_9dc5;
  delivered = 0;
  /** Called at the end of every wake-up. */
  onSettled: (nowUs: TimeUs) => void = () => {};
  readonly #options: PortalOptions;
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #touched: Endpoint[] = [];
  readonly #sources: Source[] = [];
  readonly #carriers: Carrier[] = [];
  #deadlineUs: TimeUs = NEVER;
  #timerUs: TimeUs = NEVER;
  #settling = false;
  #untaken = 0;

  constructor(options: PortalOptions) {
    this.#options = options;
    this.#arena = options.arena;
    this.#events = options.events;
    this.#id = options.events.register(this);
    this.bond = new Bond(options.arena);
  }

  /** Adds a link that sends into `pipe`; returns the receiver of what comes back on it. */
  add(link: Link, pipe: Pipe, port: number): void {
    this.bond.add(link);
    this.#carriers[link.number] = { pipe, port };
  }

  /** The end of the pipe that brings packets to this link. */
  receiver(number: number): Receiver {
    return {
      arrive: (nowUs, slot, trafficClass) => this.#arrive(nowUs, number, slot, trafficClass),
      settle: (nowUs) => this.#settle(nowUs),
    };
  }

  /** Packets for this port go to the endpoint. */
  bind(port: number, endpoint: Endpoint): void {
    this.#endpoints.set(port, endpoint);
  }

  unbind(port: number): void {
    this.#endpoints.delete(port);
  }

  addSource(source: Source): void {
    this.#sources.push(source);
    this.kick();
  }

  removeSource(source: Source): void {
    const at = this.#sources.indexOf(source);
    if (at >= 0) this.#sources.splice(at, 1);
  }

  send(nowUs: TimeUs, slot: number): void {
    this.bond.enqueue(nowUs, slot);
    this.kick();
  }

  /** Something was put in: look at it at this very moment, after what else happens now. */
  kick(): void {
    if (!this.#settling) this.#events.setEarlier(this.#id, this.#events.nowUs);
  }

  wake(nowUs: TimeUs): void {
    this.#settle(nowUs);
  }

  #arrive(nowUs: TimeUs, number: number, slot: number, trafficClass: number): void {
    const arena = this.#arena;
    const link = this.bond.link(number);
    if (link === undefined) {
      arena.give(slot);
      return;
    }
    arena.info[slot] = trafficClass;
    if (typeOf(arena, slot) === TYPE.data) {
      this.bond.receive(nowUs, link, slot);
    } else {
      this.bond.receiveFeedback(nowUs, link, slot);
      arena.give(slot);
    }
    this.#untaken += 1;
    if (this.#untaken >= BATCH) this.#deliver(nowUs);
  }

  #settle(nowUs: TimeUs): void {
    this.#settling = true;
    this.#deliver(nowUs);
    this.bond.tick(nowUs);
    this.#deliver(nowUs);
    this.#flush(nowUs);
    this.#settling = false;
    this.#setTimer(nowUs);
    this.onSettled(nowUs);
  }

  #deliver(nowUs: TimeUs): void {
    this.#untaken = 0;
    const { arrived } = this.bond;
    for (let index = 0; index < arrived.readyCount; index += 1) {
      this.#hand(nowUs, arrived.ready[index] as number);
    }
    arrived.readyCount = 0;
    for (let index = 0; index < this.#touched.length; index += 1) {
      (this.#touched[index] as Endpoint).endBatch(nowUs);
    }
    this.#touched.length = 0;
  }

  #hand(nowUs: TimeUs, slot: number): void {
    const at = this.#arena.start[slot] as number;
    const number = this.#arena.view.getUint32(at + 24) ^ this.#arena.view.getUint32(at + 28);
    this.hash = Math.imul(this.hash ^ nowUs, 0x0100_0193) >>> 0;
    this.hash = Math.imul(this.hash ^ number, 0x0100_0193) >>> 0;
    this.delivered += 1;
    const endpoint = this.#endpoints.get(destinationPortOf(this.#arena, slot));
    if (endpoint !== undefined) {
      if (!this.#touched.includes(endpoint)) this.#touched.push(endpoint);
      endpoint.receive(nowUs, slot);
    }
    this.#arena.give(slot);
  }

  #flush(nowUs: TimeUs): void {
    const { bond } = this;
    for (;;) {
      for (let index = 0; index < this.#sources.length; index += 1) {
        (this.#sources[index] as Source).refill(nowUs);
      }
      const more = bond.pull(nowUs);
      let sent = 0;
      for (let index = 0; index < bond.links.length; index += 1) {
        sent += this.#drain(nowUs, bond.links[index] as Link);
      }
      // Sources refill as long as links take what they put in.
      if (!more && (sent === 0 || this.#sources.length === 0)) return;
    }
  }

  #drain(nowUs: TimeUs, link: Link): number {
    const count = link.outboxCount;
    if (count === 0) return 0;
    for (let index = 0; index < count; index += 1) {
      this.#transmit(nowUs, link, link.outbox[index] as number);
    }
    link.drained(count);
    return count;
  }

  /** Copies what has a meaning, as a socket would: the bond may keep the original. */
  #transmit(nowUs: TimeUs, link: Link, slot: number): void {
    const arena = this.#arena;
    const copy = takeSlot(arena);
    const { pipe, port } = this.#carriers[link.number] as Carrier;
    const length = arena.length[slot] as number;
    const from = arena.start[slot] as number;
    const to = arena.start[copy] as number;
    const data = typeOf(arena, slot) === TYPE.data;
    const meaning = data ? Math.min(length, MEANING_OCTETS) : length;
    arena.octets.copyWithin(to, from, from + meaning);
    arena.length[copy] = length;
    arena.seq[copy] = arena.seq[slot] as number;
    pipe.offer(nowUs, port, copy, length + CARRIAGE_OCTETS, link.trafficClass);
    arena.give(slot);
  }

  #setTimer(nowUs: TimeUs): void {
    const deadlineUs = Math.max(this.bond.deadlineUs(nowUs), nowUs);
    if (deadlineUs !== this.#deadlineUs || this.#timerUs <= nowUs) {
      this.#deadlineUs = deadlineUs;
      const lateUs = Math.ceil(this.#options.random.next() * this.#options.timerNoiseUs);
      this.#timerUs = deadlineUs === NEVER ? NEVER : Math.ceil(deadlineUs) + lateUs;
    }
    this.#events.set(this.#id, this.#timerUs);
  }
}
