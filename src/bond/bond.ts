/**
 * N links as one: the shared queue, who pulls from it, order within flows, and feedback that finds a
 * way even when its own link is down.
 *
 * Drive it so: put things in (`enqueue`, `receive`, `tick`); take what is `arrived.ready`; call `pull`,
 * drain every link's outbox, repeat while `pull` says so; then ask `deadlineUs`.
 */
import type { Arena } from "../core/arena.ts";
import { MS, type TimeUs } from "../core/time.ts";
import { type Link, OUTBOX_PACKETS } from "../link/link.ts";
import { decodeFeedback, encodeFeedback, type Feedback, newFeedback } from "../wire/feedback.ts";
import { flowHash, ipVersion } from "../wire/inner.ts";
import {
  dataOffset,
  FLAG,
  flagsOf,
  orderOf,
  PREAMBLE_OCTETS,
  prevOf,
  pull,
  TYPE,
} from "../wire/preamble.ts";
import { OrderStamp } from "./order.ts";
import { IngressQueue } from "./queue.ts";
import { Resequencer } from "./resequencer.ts";
import { pickLink } from "./scheduler.ts";

/**
 * How long a packet may be held for an earlier one of its flow: twice what round trips say that the
 * links differ by, since an idle direction samples them seldom, and no shorter than queues move.
 */
const HOLD_FACTOR = 2;
const HOLD_MIN_US = 25 * MS;
const HOLD_MAX_US = 100 * MS;

/** Links of a bond; their numbers are below this. */
export const LINKS_MAX = 16;

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
  readonly #feedback: Feedback = newFeedback();
  /** When an inner packet last went in or came out. */
  #activeUs: TimeUs = Number.NEGATIVE_INFINITY;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.queue = new IngressQueue(arena);
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
    }
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
    if (!this.queue.push(nowUs, slot)) this.#arena.give(slot);
  }

  /**
   * Fills outboxes from the queue. True: an outbox is full and packets still wait, so drain and call
   * again; false: nothing more can leave now.
   */
  pull(nowUs: TimeUs): boolean {
    const ordered = this.liveCount > 1;
    for (;;) {
      const slot = this.queue.peek(nowUs);
      if (slot < 0) return false;
      const bytes = this.#arena.length[slot] as number;
      const link = pickLink(this.#links, nowUs, bytes + PREAMBLE_OCTETS);
      if (link === undefined) return this.#someOutboxFull();
      this.queue.shift();
      if (ordered) this.#sendOrdered(nowUs, link, slot);
      else link.send(nowUs, slot, 0, -1, 0);
    }
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
    const link = this.#byNumber[feedback.link];
    if (link === undefined) this.feedbackMalformed += 1;
    else link.acknowledge(nowUs, feedback, link === carrier);
  }

  /** Does what is due on every link, feedback included. */
  tick(nowUs: TimeUs): void {
    this.arrived.settle(nowUs, this.#holdLimitUs());
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      link.activeUs = this.#activeUs;
      if (link.deadlineUs(nowUs) <= nowUs) link.tick(nowUs);
      if (link.feedbackDeadlineUs() <= nowUs) this.#report(nowUs, link);
    }
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    let deadlineUs = this.arrived.deadlineUs(nowUs, this.#holdLimitUs());
    const head = this.queue.peek(nowUs);
    const bytes = head < 0 ? 0 : (this.#arena.length[head] as number) + PREAMBLE_OCTETS;
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      deadlineUs = Math.min(deadlineUs, link.deadlineUs(nowUs));
      if (link.life.tag !== "connecting") {
        deadlineUs = Math.min(deadlineUs, link.feedbackDeadlineUs());
      }
      if (head >= 0) deadlineUs = Math.min(deadlineUs, link.pacedUntilUs(nowUs, bytes));
    }
    return deadlineUs;
  }

  #sendOrdered(nowUs: TimeUs, link: Link, slot: number): void {
    const version = ipVersion(this.#arena, slot);
    this.#order.next(version === 0 ? 0 : flowHash(this.#arena, slot, version));
    link.send(nowUs, slot, 0, this.#order.order, this.#order.prev);
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

  /** What the slowest link may be behind the fastest, queues included, as far as is known. */
  #holdLimitUs(): number {
    let slowestUs = 0;
    let fastestUs = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.#links.length; index += 1) {
      const { up, rtt } = this.#links[index] as Link;
      if (!up) continue;
      slowestUs = Math.max(slowestUs, rtt.srttUs + 4 * rtt.varUs);
      fastestUs = Math.min(fastestUs, rtt.minUs);
    }
    return Math.min(Math.max(HOLD_FACTOR * (slowestUs - fastestUs), HOLD_MIN_US), HOLD_MAX_US);
  }

  #someOutboxFull(): boolean {
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      if (link.outboxCount >= OUTBOX_PACKETS && !link.blocked) return true;
    }
    return false;
  }
}
