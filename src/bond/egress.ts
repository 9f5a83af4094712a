/**
 * What leaves a bond: inner packets wait in the queue, links pull them as the scheduler says, order
 * numbers go on, what is lost goes again before anything new. Every few milliseconds it learns from the
 * links how they serve it, and tells the queue.
 */
import type { Arena } from "../core/arena.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";
import { FLAG, orderOf, PREAMBLE_ORDERED_OCTETS, prevOf, pull } from "../wire/preamble.ts";
import { Copies } from "./copies.ts";
import { OrderStamp } from "./order.ts";
import { IngressQueue, type Service } from "./queue.ts";
import { Repair } from "./repair.ts";
import { Scheduler } from "./scheduler.ts";

/**
 * Packets are kept for a repair while this share of all slots is free: reception and the queue come
 * first.
 */
const KEEP_FREE_SHARE = 0.25;
/** A link alone that loses more than this gets order numbers too, for the sake of repair... */
const LOSSY_SHARE = 0.0005;
/** ... until it loses less than this. */
const CLEAN_SHARE = 0.0001;

/**
 * What waits after a link has died waits for that, and not because senders are too fast: for so long neither CoDel nor a
 * drain comes in between.
 */
const CATCH_UP_US = 1 * SECOND;
/** And not again sooner than this after it has begun: a link that pauses each second must not suspend both for good. */
const CATCH_UP_AGAIN_US = 4 * SECOND;

export class Egress {
  readonly queue: IngressQueue;
  readonly repair: Repair;
  readonly copies: Copies;
  /** Packets dropped since they were longer than any link that is up lets through. */
  tooBig = 0;
  /** Told of a packet that no link lets through before it is dropped, so that its sender learns of it. */
  refuse: (nowUs: TimeUs, slot: number) => void = () => {};
  readonly scheduler: Scheduler;
  /** Realtime packets go out twice, on two links, as far as their share allows. */
  duplicate = false;
  readonly #arena: Arena;
  readonly #links: readonly Link[];
  #order = new OrderStamp();
  /** Order numbers are given although one link is all there is. */
  #lossy = false;
  /** The links catch up with what a dead one has left them until then. */
  #catchUpUntilUs: TimeUs = Number.NEGATIVE_INFINITY;
  #catchingUpSinceUs: TimeUs = Number.NEGATIVE_INFINITY;
  readonly #service: { -readonly [K in keyof Service]: Service[K] } = {
    ...{ rate: 0, intervalUs: 0, allowanceUs: 0, starting: true },
  };

  /** `links` is the bond's own list, which may grow and shrink. */
  constructor(arena: Arena, links: readonly Link[]) {
    this.#arena = arena;
    this.#links = links;
    this.queue = new IngressQueue(arena);
    this.repair = new Repair(arena);
    this.copies = new Copies(arena);
    this.scheduler = new Scheduler(links);
  }

  /** The highest order number given out. */
  get order(): number {
    return this.#order.order;
  }

  /** Order begins anew, nothing is sent again; what waits in the queue stays. */
  reset(): void {
    this.repair.clear();
    this.#order = new OrderStamp();
  }

  /**
   * Fills outboxes. True: an outbox is full and packets still wait, so drain and call again; false:
   * nothing more can leave now.
   */
  fill(nowUs: TimeUs): boolean {
    const { queue } = this;
    const repaired = this.#sendAgain(nowUs);
    const ordered = this.#ordered;
    for (;;) {
      const slot = queue.peek(nowUs);
      if (slot < 0 && repaired) return false;
      const link = slot < 0 ? undefined : this.#pickFor(nowUs, slot, repaired);
      if (link === undefined) {
        if (slot < 0 || !this.#fitsNowhere(this.#stampedOctets(slot)))
          return this.#someOutboxFull();
        queue.shift();
        this.#giveUp(nowUs, slot);
        continue;
      }
      queue.shift();
      if (!ordered) link.send(nowUs, slot, 0, -1, 0, false);
      else if (queue.headRealtime) this.#sendUrgent(nowUs, link, slot);
      else this.#sendOrdered(nowUs, link, slot, queue.headFlow);
    }
  }

  /** Takes in what links have lost and learnt. Once a wake-up, after the links' own ticks. */
  tick(nowUs: TimeUs): void {
    let lossShare = 0;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      this.#takeLost(link);
      if (link.lends) {
        this.repair.borrow(link);
        this.#catchUp(nowUs);
      }
      if (link.carries) lossShare = Math.max(lossShare, link.sender.lossShare);
    }
    this.#lossy = lossShare > (this.#lossy ? CLEAN_SHARE : LOSSY_SHARE);
    this.scheduler.refresh(nowUs, this.queue.bulkBytes);
    const catchingUp = nowUs < this.#catchUpUntilUs;
    this.#tuneQueue(catchingUp);
    if (!catchingUp) this.#grantDrain(nowUs);
  }

  /** When `fill` may send something more, as far as time alone can tell; Infinity: not by itself. */
  deadlineUs(nowUs: TimeUs): TimeUs {
    const again = this.repair.peek(nowUs);
    if (again >= 0) {
      const bytes = this.#arena.length[again] as number;
      const readyUs = this.scheduler.readyAgainUs(nowUs, bytes);
      return Math.min(readyUs, this.repair.deadlineUs(nowUs));
    }
    const slot = this.queue.peek(nowUs);
    if (slot < 0) return NEVER;
    return this.scheduler.readyUs(nowUs, this.#stampedOctets(slot), this.queue.bulkBytes);
  }

  /**
   * Packets get order numbers. Also while all links but one are down: what is under way without a number
   * when another comes up would be overtaken.
   */
  get #ordered(): boolean {
    let attached = 0;
    for (let index = 0; index < this.#links.length; index += 1) {
      if (this.#links[index]?.life.tag !== "connecting") attached += 1;
    }
    return attached > 1 || this.#lossy;
  }

  /** The link for what the queue shows; only what is urgent goes while something lost still waits. */
  #pickFor(nowUs: TimeUs, slot: number, repaired: boolean): Link | undefined {
    const { headRealtime, bulkBytes } = this.queue;
    const bytes = this.#stampedOctets(slot);
    if (headRealtime) return this.scheduler.pickUrgent(bytes);
    if (!repaired) return undefined;
    return this.scheduler.pick(nowUs, bytes, bulkBytes);
  }

  #sendOrdered(nowUs: TimeUs, link: Link, slot: number, flow: number): void {
    this.#order.next(flow);
    this.repair.born(nowUs, slot);
    link.send(nowUs, slot, 0, this.#order.order, this.#order.prev, this.#mayKeep());
  }

  /** A packet that waits for no other, and its copy on the link that is next best. */
  #sendUrgent(nowUs: TimeUs, link: Link, slot: number): void {
    this.#order.nextUnordered();
    const { order, prev } = this.#order;
    this.repair.born(nowUs, slot);
    const bytes = this.#stampedOctets(slot);
    const other = this.duplicate ? this.scheduler.pickUrgent(bytes, link) : undefined;
    const copy = other === undefined ? -1 : this.copies.make(nowUs, slot, this.scheduler.capacity);
    link.send(nowUs, slot, 0, order, prev, copy < 0 && this.#mayKeep());
    if (other !== undefined && copy >= 0) {
      other.send(nowUs, copy, FLAG.copy, order, prev, false);
    }
  }

  #mayKeep(): boolean {
    return this.#arena.freeCount > this.#arena.slotCount * KEEP_FREE_SHARE;
  }

  #takeLost(link: Link): void {
    for (let slot = link.sender.takeLost(); slot >= 0; slot = link.sender.takeLost()) {
      this.repair.add(slot);
    }
  }

  /** Sends what was lost once more, before anything new. False: no link takes more now. */
  #sendAgain(nowUs: TimeUs): boolean {
    const arena = this.#arena;
    for (;;) {
      const slot = this.repair.peek(nowUs);
      if (slot < 0) return true;
      const bytes = arena.length[slot] as number;
      const link = this.scheduler.pickRepair(nowUs, bytes);
      if (link === undefined) {
        if (!this.#fitsNowhere(bytes)) return false;
        this.repair.surrender();
        pull(arena, slot, PREAMBLE_ORDERED_OCTETS);
        this.#giveUp(nowUs, slot);
        continue;
      }
      this.repair.shift();
      const order = orderOf(arena, slot);
      const prev = prevOf(arena, slot);
      pull(arena, slot, PREAMBLE_ORDERED_OCTETS);
      link.send(nowUs, slot, FLAG.copy, order, prev, true);
    }
  }

  #giveUp(nowUs: TimeUs, slot: number): void {
    this.refuse(nowUs, slot);
    this.tooBig += 1;
    this.#arena.give(slot);
  }

  /** Octets of an inner packet with the longest preamble it may get. */
  #stampedOctets(slot: number): number {
    return (this.#arena.length[slot] as number) + PREAMBLE_ORDERED_OCTETS;
  }

  /** Links carry packets, but none one of `bytes` octets, its preamble included. */
  #fitsNowhere(bytes: number): boolean {
    let carrying = false;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (!link.carries) continue;
      if (link.fits(bytes)) return false;
      carrying = true;
    }
    return carrying;
  }

  /** Tells the queue how the links serve it now. */
  #tuneQueue(catchingUp: boolean): void {
    const service = this.#service;
    service.rate = this.scheduler.capacity;
    service.allowanceUs = this.scheduler.allowanceUs;
    service.intervalUs = this.scheduler.roundTripUs;
    service.starting = this.scheduler.starting || catchingUp;
    this.queue.tune(service);
  }

  /** Only one link at a time empties its queue, so that the others carry what it does not. */
  #grantDrain(nowUs: TimeUs): void {
    let due: Link | undefined;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (!link.carries) continue;
      const { drain } = link.sender.controller;
      if (drain === "running") return;
      if (drain === "due") due ??= link;
    }
    due?.sender.controller.beginDrain(nowUs);
  }

  /** A suspect link's packets go to the others: for as long as that is new. */
  #catchUp(nowUs: TimeUs): void {
    if (nowUs - this.#catchingUpSinceUs >= CATCH_UP_AGAIN_US) this.#catchingUpSinceUs = nowUs;
    if (nowUs - this.#catchingUpSinceUs < CATCH_UP_US) this.#catchUpUntilUs = nowUs + CATCH_UP_US;
  }

  #someOutboxFull(): boolean {
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (link.outboxFull && !link.blocked) return true;
    }
    return false;
  }
}
