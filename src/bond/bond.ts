/**
 * N links as one: the shared queue, who pulls from it, order within flows, and feedback that finds a
 * way even when its own link is down.
 *
 * Drive it so: put things in (`enqueue`, `receive`, `tick`); take what is `arrived.ready`; call `pull`,
 * drain every link's outbox, repeat while `pull` says so; then ask `deadlineUs`.
 */
import type { Arena } from "../core/arena.ts";
import type { TimeUs } from "../core/time.ts";
import { type Link, OUTBOX_PACKETS } from "../link/link.ts";
import { decodeFeedback, encodeFeedback, type Feedback, newFeedback } from "../wire/feedback.ts";
import {
  dataOffset,
  FLAG,
  flagsOf,
  orderOf,
  PREAMBLE_OCTETS,
  PREAMBLE_ORDERED_OCTETS,
  prevOf,
  pull,
  TYPE,
} from "../wire/preamble.ts";
import { Copies } from "./copies.ts";
import { OrderStamp } from "./order.ts";
import { IngressQueue, type Service } from "./queue.ts";
import { Repair } from "./repair.ts";
import { Resequencer } from "./resequencer.ts";
import { LINKS_MAX, Scheduler } from "./scheduler.ts";

export { LINKS_MAX } from "./scheduler.ts";

/**
 * Packets are kept for a repair while this share of all slots is free: reception and the queue come
 * first.
 */
const KEEP_FREE_SHARE = 0.25;
/** A link alone that loses more than this gets order numbers too, for the sake of repair... */
const LOSSY_SHARE = 0.002;
/** ... until it loses less than this. */
const CLEAN_SHARE = 0.0005;

export class Bond {
  readonly queue: IngressQueue;
  /** Packets from the peer; empty its `ready` after every batch and every tick. */
  arrived: Resequencer;
  /** FEEDBACK that was damaged in spite of its tag, or named no link. */
  feedbackMalformed = 0;
  readonly #arena: Arena;
  readonly #links: Link[] = [];
  readonly #byNumber: (Link | undefined)[] = new Array(LINKS_MAX).fill(undefined);
  #order = new OrderStamp();
  readonly #scheduler = new Scheduler(this.#links);
  readonly repair: Repair;
  readonly copies: Copies;
  /** Realtime packets go out twice, on two links, as far as their share allows. */
  duplicate = false;
  readonly #service: { -readonly [K in keyof Service]: Service[K] } = {
    ...{ rate: 0, intervalUs: 0, allowanceUs: 0, starting: true },
  };
  /** Order numbers are given although one link is all there is. */
  #lossy = false;
  readonly #feedback: Feedback = newFeedback();
  /** When an inner packet last went in or came out. */
  #activeUs: TimeUs = Number.NEGATIVE_INFINITY;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.queue = new IngressQueue(arena);
    this.repair = new Repair(arena);
    this.copies = new Copies(arena);
    this.arrived = new Resequencer(arena);
  }

  get links(): readonly Link[] {
    return this.#links;
  }

  link(number: number): Link | undefined {
    return this.#byNumber[number];
  }

  add(link: Link): void {
    this.#links.push(link);
    this.#byNumber[link.number] = link;
  }

  /** The peer has forgotten everything: order and links begin anew, waiting packets stay. */
  reset(): void {
    for (const link of this.#links) {
      for (let index = 0; index < link.outboxCount; index += 1) {
        this.#arena.give(link.outbox[index] as number);
      }
      link.sender.forget();
    }
    this.repair.clear();
    this.#links.length = 0;
    this.#byNumber.fill(undefined);
    this.#order = new OrderStamp();
    this.arrived.flush();
    this.#unordered(this.arrived);
    this.arrived = new Resequencer(this.#arena);
  }

  /** Links that carry packets now. */
  get liveCount(): number {
    let count = 0;
    for (let index = 0; index < this.#links.length; index += 1) {
      if (this.#links[index]?.up === true) count += 1;
    }
    return count;
  }

  /** Takes an inner packet over; a packet that does not fit is dropped, counted by the queue. */
  enqueue(nowUs: TimeUs, slot: number): void {
    this.#activeUs = nowUs;
    this.queue.push(nowUs, slot);
  }

  /**
   * Fills outboxes from the queue. True: an outbox is full and packets still wait, so drain and call
   * again; false: nothing more can leave now.
   */
  pull(nowUs: TimeUs): boolean {
    if (this.#fill(nowUs)) return true;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      link.sender.noteIdle(nowUs, link.mssBytes);
    }
    return false;
  }

  #fill(nowUs: TimeUs): boolean {
    if (!this.#sendAgain(nowUs)) return this.#someOutboxFull();
    const { queue } = this;
    const ordered = this.liveCount > 1 || this.#lossy;
    for (;;) {
      const slot = queue.peek(nowUs);
      if (slot < 0) return false;
      const link = queue.headRealtime
        ? this.#scheduler.pickUrgent()
        : this.#pickFor(nowUs, slot, queue.bulkBytes);
      if (link === undefined) return this.#someOutboxFull();
      queue.shift();
      if (!ordered) link.send(nowUs, slot, 0, -1, 0, false);
      else if (queue.headRealtime) this.#sendUrgent(nowUs, link, slot);
      else this.#sendOrdered(nowUs, link, slot, queue.headFlow);
    }
  }

  #pickFor(nowUs: TimeUs, slot: number, backlogBytes: number): Link | undefined {
    const bytes = (this.#arena.length[slot] as number) + PREAMBLE_ORDERED_OCTETS;
    return this.#scheduler.pick(nowUs, bytes, backlogBytes);
  }

  /** Takes over a DATA message of `link`, preamble first; what it sets free is `arrived.ready`. */
  receive(nowUs: TimeUs, link: Link, slot: number): void {
    const arena = this.#arena;
    const flags = flagsOf(arena, slot);
    const bytes = arena.length[slot] as number;
    const offset = dataOffset(flags);
    const innerBytes = Math.max(bytes - offset, 0);
    const seq = arena.seq[slot] as number;
    const trafficClass = (arena.info[slot] as number) & 0xff;
    link.receive(nowUs, seq, bytes, innerBytes, trafficClass, (flags & FLAG.ackNow) !== 0);
    if (innerBytes === 0) {
      this.arrived.alive(nowUs, link.number);
      arena.give(slot);
      return;
    }
    this.#activeUs = nowUs;
    if ((flags & FLAG.order) === 0) {
      pull(arena, slot, offset);
      this.arrived.pass(slot);
      return;
    }
    const order = orderOf(arena, slot);
    const prev = prevOf(arena, slot);
    pull(arena, slot, offset);
    this.arrived.take(nowUs, link.number, slot, order, prev);
  }

  /** Takes in a FEEDBACK message that came over `carrier`, preamble first. */
  receiveFeedback(nowUs: TimeUs, carrier: Link, slot: number): void {
    const feedback = this.#feedback;
    if (!decodeFeedback(this.#arena, slot, PREAMBLE_OCTETS, feedback)) {
      this.feedbackMalformed += 1;
      return;
    }
    this.arrived.heard(nowUs, carrier.number, feedback.floor);
    this.arrived.expect(feedback.holdUs, feedback.repairUs);
    const link = this.#byNumber[feedback.link];
    if (link === undefined) this.feedbackMalformed += 1;
    else link.acknowledge(nowUs, feedback, link === carrier);
  }

  /** Does what is due on every link, feedback included. */
  tick(nowUs: TimeUs): void {
    this.arrived.settle(nowUs);
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      link.activeUs = this.#activeUs;
      if (link.deadlineUs(nowUs) <= nowUs) link.tick(nowUs);
      if (link.feedbackDeadlineUs() <= nowUs) this.#report(nowUs, link);
      this.#takeLost(link);
    }
    this.#scheduler.refresh(nowUs, this.queue.bulkBytes);
    this.#tuneQueue();
    this.#grantDrain(nowUs);
    this.#judgeLoss();
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    let deadlineUs = Math.min(this.arrived.deadlineUs(), this.repair.deadlineUs(nowUs));
    const head = this.queue.peek(nowUs);
    const bytes = head < 0 ? 0 : (this.#arena.length[head] as number) + PREAMBLE_OCTETS;
    const waiting = head >= 0 || this.repair.packets > 0;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      deadlineUs = Math.min(deadlineUs, link.deadlineUs(nowUs));
      if (link.life.tag !== "connecting") {
        deadlineUs = Math.min(deadlineUs, link.feedbackDeadlineUs());
      }
      if (waiting) deadlineUs = Math.min(deadlineUs, link.pacedUntilUs(nowUs, bytes));
    }
    return deadlineUs;
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
    const other = this.duplicate ? this.#scheduler.pickUrgent(link) : undefined;
    const copy = other === undefined ? -1 : this.copies.make(nowUs, slot, this.#scheduler.capacity);
    link.send(nowUs, slot, 0, order, prev, copy < 0 && this.#mayKeep());
    if (other !== undefined && copy >= 0) {
      other.send(nowUs, copy, FLAG.copy, order, prev, false);
    }
  }

  #mayKeep(): boolean {
    return this.#arena.freeCount > this.#arena.slotCount * KEEP_FREE_SHARE;
  }

  /** Tells the queue how the links serve it now. */
  #tuneQueue(): void {
    const service = this.#service;
    service.rate = this.#scheduler.capacity;
    service.allowanceUs = this.#scheduler.allowanceUs;
    service.intervalUs = this.#scheduler.roundTripUs;
    service.starting = this.#scheduler.starting;
    this.queue.tune(service);
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
      const link = this.#scheduler.pickRepair(nowUs, arena.length[slot] as number);
      if (link === undefined) return false;
      this.repair.shift();
      const order = orderOf(arena, slot);
      const prev = prevOf(arena, slot);
      pull(arena, slot, PREAMBLE_ORDERED_OCTETS);
      link.send(nowUs, slot, FLAG.copy, order, prev, true);
    }
  }

  /** Only one link at a time empties its queue, so that the others carry what it does not. */
  #grantDrain(nowUs: TimeUs): void {
    let due: Link | undefined;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (!link.up) continue;
      const { drain } = link.sender.controller;
      if (drain === "running") return;
      if (drain === "due") due ??= link;
    }
    due?.sender.controller.beginDrain(nowUs);
  }

  #judgeLoss(): void {
    let share = 0;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (link.up) share = Math.max(share, link.sender.lossShare);
    }
    this.#lossy = share > (this.#lossy ? CLEAN_SHARE : LOSSY_SHARE);
  }

  /** Sends the report on `link` over `link`, or over another when it is down. */
  #report(nowUs: TimeUs, link: Link): void {
    const carrier = link.up ? link : (this.#links.find((other) => other.up) ?? link);
    // Reported even if it cannot be sent: the next report says the same and more.
    link.receipts.report(nowUs, this.#feedback);
    const slot = this.#arena.take();
    if (slot < 0) return;
    this.#feedback.link = link.number;
    this.#feedback.floor = this.#order.order;
    this.#feedback.holdUs = this.#scheduler.holdUs;
    this.#feedback.repairUs = this.#scheduler.repairUs;
    encodeFeedback(this.#arena, slot, this.#feedback);
    if (!carrier.sendControl(slot, TYPE.feedback)) this.#arena.give(slot);
  }

  /** Gives back what another bond's order set free: it belongs to a session that is gone. */
  #unordered(arrived: Resequencer): void {
    for (let index = 0; index < arrived.readyCount; index += 1) {
      this.#arena.give(arrived.ready[index] as number);
    }
    arrived.readyCount = 0;
  }

  #someOutboxFull(): boolean {
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (link.outboxCount >= OUTBOX_PACKETS && !link.blocked) return true;
    }
    return false;
  }
}
