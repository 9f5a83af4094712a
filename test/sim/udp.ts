/** UDP traffic: a flood that keeps the queue backlogged, a stream at a constant rate, and who counts them. */
import type { Arena } from "../../src/core/arena.ts";
import { NEVER, type TimeUs } from "../../src/core/time.ts";
import type { Endpoint, Outlet, Source } from "./ends.ts";
import type { EventQueue, Process } from "./events.ts";
import { AT, type Flow, takeSlot, writeUdp } from "./packets.ts";
import type { Portal } from "./portal.ts";
import { Histogram, mbit, Series } from "./record.ts";

/** Counts what comes out of a flow. */
export class UdpSink implements Endpoint {
  packets = 0;
  bytes = 0;
  /** Packets that came after one sent later; packets that had come before. */
  reordered = 0;
  duplicates = 0;
  readonly delay = new Histogram();
  /** Octets each 10 ms. */
  readonly received = new Series();
  readonly #arena: Arena;
  readonly #events: EventQueue;
  #sinceUs: TimeUs = 0;
  #highest = -1;
  /** One bit a packet number. */
  #seen = new Uint8Array(1 << 16);

  constructor(arena: Arena, events: EventQueue) {
    this.#arena = arena;
    this.#events = events;
  }

  receive(nowUs: TimeUs, slot: number): void {
    const at = this.#arena.start[slot] as number;
    const number = this.#arena.view.getUint32(at + AT.number);
    const bytes = this.#arena.length[slot] as number;
    if (this.#note(number)) {
      this.duplicates += 1;
      return;
    }
    this.packets += 1;
    this.bytes += bytes;
    this.received.add(nowUs, bytes);
    const sentUs = this.#arena.view.getUint32(at + AT.sentUs);
    this.delay.add((nowUs % 0x1_0000_0000) - sentUs);
    if (number < this.#highest) this.reordered += 1;
    else this.#highest = number;
  }

  endBatch(): void {}

  mark(nowUs: TimeUs): void {
    this.packets = 0;
    this.bytes = 0;
    this.reordered = 0;
    this.duplicates = 0;
    this.delay.reset();
    this.#sinceUs = nowUs;
  }

  /** Inner IP octets since the mark. */
  goodputMbit(): number {
    return mbit(this.bytes, this.#events.nowUs - this.#sinceUs);
  }

  /** Of the packets numbered [from, to), how many have never come. */
  missing(from: number, to: number): number {
    let count = 0;
    for (let number = from; number < to; number += 1) {
      const bits = this.#seen[number >>> 3] ?? 0;
      if ((bits & (1 << (number & 7))) === 0) count += 1;
    }
    return count;
  }

  /** True if this number has come before. */
  #note(number: number): boolean {
    const at = number >>> 3;
    if (at >= this.#seen.length) {
      const wider = new Uint8Array(Math.max(2 * this.#seen.length, at + 1));
      wider.set(this.#seen);
      this.#seen = wider;
    }
    const bit = 1 << (number & 7);
    const seen = this.#seen[at] as number;
    this.#seen[at] = seen | bit;
    return (seen & bit) !== 0;
  }
}

/** Keeps `backlog` packets waiting in the portal's queue. */
export class Flood implements Source {
  sent = 0;
  readonly #arena: Arena;
  readonly #portal: Portal;
  readonly #flow: Flow;
  readonly #bytes: number;
  readonly #backlog: number;

  constructor(arena: Arena, portal: Portal, flow: Flow, bytes: number, backlog: number) {
    this.#arena = arena;
    this.#portal = portal;
    this.#flow = flow;
    this.#bytes = bytes;
    this.#backlog = backlog;
  }

  start(): void {
    this.#portal.addSource(this);
  }

  stop(): void {
    this.#portal.removeSource(this);
  }

  refill(nowUs: TimeUs): void {
    const missing = this.#backlog - this.#portal.bond.egress.queue.packets;
    for (let count = 0; count < missing; count += 1) {
      const slot = takeSlot(this.#arena);
      writeUdp(this.#arena, slot, this.#bytes, this.#flow, this.sent, nowUs);
      this.sent += 1;
      this.#portal.send(nowUs, slot);
    }
  }
}

/** One packet of `bytes` octets each `everyUs`. */
export class Stream implements Process {
  sent = 0;
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #outlet: Outlet;
  readonly #flow: Flow;
  readonly #bytes: number;
  readonly #everyUs: number;
  #nextUs = 0;

  constructor(
    arena: Arena,
    events: EventQueue,
    outlet: Outlet,
    flow: Flow,
    bytes: number,
    everyUs: number,
  ) {
    this.#arena = arena;
    this.#events = events;
    this.#id = events.register(this);
    this.#outlet = outlet;
    this.#flow = flow;
    this.#bytes = bytes;
    this.#everyUs = everyUs;
  }

  start(atUs: TimeUs): void {
    this.#nextUs = atUs;
    this.#events.set(this.#id, Math.ceil(atUs));
  }

  stop(): void {
    this.#events.set(this.#id, NEVER);
  }

  wake(nowUs: TimeUs): void {
    while (this.#nextUs <= nowUs) {
      this.#nextUs += this.#everyUs;
      const slot = takeSlot(this.#arena);
      writeUdp(this.#arena, slot, this.#bytes, this.#flow, this.sent, nowUs);
      this.sent += 1;
      this.#outlet.send(nowUs, slot);
    }
    this.#events.set(this.#id, Math.ceil(this.#nextUs));
  }
}
