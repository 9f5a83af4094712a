/**
 * N links as one: the shared queue, who pulls from it, order within flows, and feedback that finds a
 * way even when its own link is down.
 *
 * Drive it so: put things in (`enqueue`, `receive`, `tick`); take what is `arrived.ready`; call `pull`,
 * drain every link's outbox, repeat while `pull` says so; then ask `deadlineUs`.
 */
import type { Arena } from "../core/arena.ts";
import type { TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";
import { decodeFeedback, encodeFeedback, type Feedback, newFeedback } from "../wire/feedback.ts";
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
import { Egress } from "./egress.ts";
import { Resequencer } from "./resequencer.ts";
import { LINKS_MAX } from "./scheduler.ts";

export { LINKS_MAX } from "./scheduler.ts";

export class Bond {
  /** What leaves: queue, scheduler, repair. */
  readonly egress: Egress;
  /** Packets from the peer; empty its `ready` after every batch and every tick. */
  arrived: Resequencer;
  /** FEEDBACK that was damaged in spite of its tag, or named no link. */
  feedbackMalformed = 0;
  readonly #arena: Arena;
  readonly #links: Link[] = [];
  readonly #byNumber: (Link | undefined)[] = new Array(LINKS_MAX).fill(undefined);
  readonly #feedback: Feedback = newFeedback();
  /** When an inner packet last went in or came out. */
  #activeUs: TimeUs = Number.NEGATIVE_INFINITY;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.egress = new Egress(arena, this.#links);
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
    this.egress.reset();
    this.#links.length = 0;
    this.#byNumber.fill(undefined);
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
    this.egress.queue.push(nowUs, slot);
  }

  /**
   * Fills outboxes from the queue. True: an outbox is full and packets still wait, so drain and call
   * again; false: nothing more can leave now.
   */
  pull(nowUs: TimeUs): boolean {
    return this.egress.fill(nowUs);
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
      if (link.deadlineUs(nowUs) <= nowUs) link.tick(nowUs);
      if (link.feedbackDeadlineUs() <= nowUs) this.#report(nowUs, link);
    }
    this.#place();
    this.egress.tick(nowUs);
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    let deadlineUs = Math.min(this.arrived.deadlineUs(), this.egress.deadlineUs(nowUs));
    for (let index = 0; index < this.#links.length; index += 1) {
      const link = this.#links[index] as Link;
      deadlineUs = Math.min(deadlineUs, link.deadlineUs(nowUs));
      if (link.life.tag !== "connecting") {
        deadlineUs = Math.min(deadlineUs, link.feedbackDeadlineUs());
      }
    }
    return deadlineUs;
  }

  /** Tells every link what it cannot know of the others. */
  #place(): void {
    let needed = true;
    for (let index = 0; index < this.#links.length; index += 1) {
      if (serves(this.#links[index] as Link)) needed = false;
    }
    for (let index = 0; index < this.#links.length; index += 1) {
      this.#links[index]?.place(this.#activeUs, needed);
    }
  }

  /** What is said about `link` goes by it, or by another when it is down or held. */
  speaker(link: Link): Link {
    return serves(link) ? link : (this.#links.find(serves) ?? link);
  }

  /** Sends the report on `link` over `link`, or over another when it is down or held. */
  #report(nowUs: TimeUs, link: Link): void {
    const carrier = this.speaker(link);
    // Reported even if it cannot be sent: the next report says the same and more.
    link.receipts.report(nowUs, this.#feedback);
    const slot = this.#arena.take();
    if (slot < 0) return;
    this.#feedback.link = link.number;
    const { order, scheduler } = this.egress;
    this.#feedback.floor = order;
    this.#feedback.holdUs = scheduler.holdUs;
    this.#feedback.repairUs = scheduler.repairUs;
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
}

/** Up, and something may carry its packets. */
function serves(link: Link): boolean {
  return link.up && !link.held;
}
