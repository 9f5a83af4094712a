/**
 * One path to the peer, both directions: its life, its sender, its receipts. Stamps packets into its
 * outbox; whoever owns the sockets drains that. Knows nothing of other links, of order between
 * packets, of keys.
 *
 * Drive it so: put things in (`send`, `receive`, `acknowledge`, `tick`), then drain `outbox`, then ask
 * `deadlineUs` when to call `tick` again.
 */
import type { Rtt } from "../cc/rtt.ts";
import type { Arena } from "../core/arena.ts";
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Feedback } from "../wire/feedback.ts";
import {
  FLAG,
  PREAMBLE_ORDERED_OCTETS,
  pushOrderedPreamble,
  pushPreamble,
  TYPE,
} from "../wire/preamble.ts";
import { type LinkCounters, newLinkCounters } from "./counters.ts";
import { ECT0 } from "./ecn.ts";
import type { Life } from "./life.ts";
import { Liveness } from "./liveness.ts";
import type { LinkOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { PeersDoubt } from "./peers-doubt.ts";
import { Receipts } from "./receipts.ts";
import { Sender } from "./sender.ts";

/** A link that was away for longer may be another path by now. */
const REJOIN_FRESH_US = 1 * SECOND;

export class Link {
  readonly number: number;
  readonly name: string;
  readonly receipts = new Receipts();
  readonly sender: Sender;
  /** When it is doubted, given up, probed. */
  readonly liveness: Liveness;
  readonly counters: LinkCounters = newLinkCounters();
  /** The socket is full: stamp nothing more until it drains. */
  blocked = false;
  /** No transport may carry DATA: none is open, or the peer's address is not proven. */
  held = false;
  /** What the peer sends here goes by the same TCP connection: neither direction outlives the other. */
  shared = false;
  /** The link id that the peer chose for what we send here. */
  transmitId = 0;
  /** Octets that carriage adds to a message: outer header, tag. */
  carriageOctets = 0;
  /**
   * The longest inner packet that the way in use lets through, octets; Infinity: no limit is known. A longer
   * one is not offered to this link.
   */
  maxInnerOctets = Number.POSITIVE_INFINITY;
  /** Sequence number of the next FEEDBACK or CONTROL. */
  #controlSeq = 0;
  readonly #arena: Arena;
  readonly #dscp: number;
  readonly #ecn: boolean;
  readonly #outbox = new Outbox();
  readonly #peersDoubt = new PeersDoubt();

  constructor(options: LinkOptions) {
    this.number = options.number;
    this.name = options.name;
    this.sender = new Sender(options.arena, options.controller, options.mssBytes);
    this.liveness = new Liveness(this.sender, options.keepaliveUs);
    this.#arena = options.arena;
    this.#dscp = options.dscp ?? 0;
    this.#ecn = options.ecn ?? true;
  }

  /** Slots stamped and not yet handed to a socket, in order: the first `outboxCount`. */
  get outbox(): Int32Array {
    return this.#outbox.slots;
  }

  get outboxCount(): number {
    return this.#outbox.count;
  }

  /** It must be drained before it takes another inner packet. */
  get outboxFull(): boolean {
    return this.#outbox.full;
  }

  get life(): Life {
    return this.liveness.life;
  }

  get up(): boolean {
    return this.liveness.life.tag === "up";
  }

  /** New packets may go here: it is up, or suspect and the best there is. */
  get carries(): boolean {
    return this.liveness.carries;
  }

  /** Its packets in flight should be copied to other links. */
  get lends(): boolean {
    return this.liveness.alive && !this.liveness.carries;
  }

  /** Since when packets have been unanswered; Infinity: all is answered, or the link is not up. */
  get unansweredSinceUs(): TimeUs {
    return this.liveness.waitingSinceUs;
  }

  /** Outer packets ask to be marked now. */
  get asksForMarks(): boolean {
    return this.#ecn && this.sender.controller.answersMarks && this.sender.ect;
  }

  /** DSCP and ECN that outer packets should carry now (RFC 3168 section 5). */
  get trafficClass(): number {
    return (this.#dscp << 2) | (this.asksForMarks ? ECT0 : 0);
  }

  get rtt(): Rtt {
    return this.sender.rtt;
  }

  /** The peer has answered on this link: it may carry packets. */
  attach(nowUs: TimeUs): void {
    // A first probe is due at once: how far the link is decides what it is used for.
    this.liveness.attached(nowUs);
  }

  detach(nowUs: TimeUs): void {
    this.#abandon(nowUs);
    this.liveness.detached(nowUs);
  }

  /**
   * What only the bond knows. `activeUs`: when it last carried an inner packet, on whichever link; `needed`:
   * no link of it is up, so that a suspect one goes on.
   */
  place(activeUs: TimeUs, needed: boolean): void {
    this.liveness.activeUs = activeUs;
    this.liveness.needed = needed;
  }

  /** A packet of `bytes` octets, an ordered preamble included, may be stamped now. */
  mayTake(nowUs: TimeUs, bytes: number): boolean {
    if (!this.#open() || !this.fits(bytes)) return false;
    return this.sender.allows(nowUs, bytes + this.carriageOctets);
  }

  /** One that must not wait may be stamped now: neither window nor pace are asked. */
  mayTakeUrgent(bytes: number): boolean {
    return this.#open() && this.fits(bytes) && !this.sender.full;
  }

  /** Refused by the pacer alone: when it will allow; Infinity when something else is in the way. */
  pacedUntilUs(nowUs: TimeUs, bytes: number): TimeUs {
    if (!this.#open() || !this.fits(bytes)) return NEVER;
    return this.sender.pacedUntilUs(nowUs, bytes + this.carriageOctets);
  }

  /** The way in use lets `bytes` octets through, an ordered preamble included. */
  fits(bytes: number): boolean {
    return bytes - PREAMBLE_ORDERED_OCTETS <= this.maxInnerOctets;
  }

  /**
   * Stamps an inner packet into the outbox; order fields when `order` is not negative. `keep`: holds it
   * until it is acknowledged, so that it can be sent again.
   */
  send(
    nowUs: TimeUs,
    slot: number,
    flags: number,
    order: number,
    prev: number,
    keep: boolean,
  ): void {
    this.counters.packetsOut += 1;
    this.counters.bytesOut += this.#arena.length[slot] as number;
    this.#stamp(nowUs, slot, flags, order, prev, keep);
  }

  /** Notes a received DATA message of `bytes` octets, `innerBytes` of them the inner packet. */
  receive(
    nowUs: TimeUs,
    seq: number,
    bytes: number,
    innerBytes: number,
    trafficClass: number,
    ackNow: boolean,
  ): void {
    this.receipts.note(nowUs, seq, bytes, trafficClass, ackNow);
    if (innerBytes === 0) return;
    this.counters.packetsIn += 1;
    this.counters.bytesIn += innerBytes;
  }

  /** Takes in the peer's report on what we sent here. `own`: it came over this very link. */
  acknowledge(nowUs: TimeUs, feedback: Feedback, own: boolean): void {
    const verdict = this.sender.acknowledge(nowUs, feedback, own);
    if (verdict === "invalid") {
      this.counters.feedbackInvalid += 1;
      return;
    }
    const progress = verdict === "progress";
    const doubted = this.#peersDoubt.reported(nowUs, own, progress, this.life) && this.shared;
    if (doubted) this.liveness.doubted(nowUs);
    if (!progress) return;
    // Others may go on telling for a while of what arrived before it became useless.
    if (doubted || (!own && this.liveness.useless)) {
      this.sender.doubt(this.life.sinceUs);
      return;
    }
    const before = this.life;
    this.liveness.answered(nowUs, this.sender.idle);
    if (before.tag !== "down" || !this.up) return;
    if (this.shared) this.rtt.settle();
    const awayUs = nowUs - before.sinceUs;
    if (awayUs > REJOIN_FRESH_US) this.sender.rejoin(nowUs, awayUs);
  }

  /** Does what is due: loss by time, doubt, silence, probes. */
  tick(nowUs: TimeUs): void {
    if (this.sender.lossDeadlineUs <= nowUs) this.#detectLoss(nowUs);
    const due = this.liveness.due(nowUs);
    if (due === "nothing") return;
    if (due === "silent") this.#abandon(nowUs);
    else this.#probe(nowUs);
    if (this.life.tag !== "suspect") return;
    this.sender.doubt(this.unansweredSinceUs);
    if (this.shared) this.receipts.repeat(nowUs);
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    return Math.min(this.liveness.deadlineUs(nowUs), this.sender.lossDeadlineUs);
  }

  /**
   * Known to be useless, as its device, address or route is gone: everything unanswered is lost at once, and
   * nothing is tried until `restored`. Not before it was attached.
   */
  unusable(nowUs: TimeUs): void {
    if (this.life.tag === "connecting") return;
    this.liveness.unusable(nowUs);
    this.#abandon(nowUs);
  }

  /** Perhaps it is of use again: it is asked at once, if it is down. */
  restored(nowUs: TimeUs): void {
    this.liveness.restored(nowUs);
  }

  /** When feedback on what was received here is due. */
  feedbackDeadlineUs(): TimeUs {
    return this.receipts.deadlineUs(this.rtt.srttUs);
  }

  /** Puts a FEEDBACK or CONTROL body into the outbox; false when there is no room for it. */
  sendControl(slot: number, type: number): boolean {
    // As many reports as there is DATA, to an address that nobody has proven, would be amplification.
    if (this.held && type === TYPE.feedback) return false;
    if (this.#outbox.crammed || !this.stampControl(slot, type)) return false;
    if (type === TYPE.feedback) this.counters.feedbackSent += 1;
    this.#outbox.push(slot);
    return true;
  }

  /** Makes a message of a FEEDBACK or CONTROL body and leaves it to the caller; false: not attached. */
  stampControl(slot: number, type: number): boolean {
    if (this.life.tag === "connecting") return false;
    pushPreamble(this.#arena, slot, type, 0, this.transmitId, this.#controlSeq);
    this.#controlSeq += 1;
    return true;
  }

  /**
   * Packets are carried another way from now on. `intoTheDark`: what is under way is lost, and says
   * nothing of the new way.
   */
  recarried(nowUs: TimeUs, intoTheDark: boolean): void {
    this.blocked = false;
    if (intoTheDark) {
      this.sender.forgetProbes(nowUs);
      this.sender.rejoin(nowUs, 0);
      this.liveness.forgotten();
    }
    this.sender.moved();
    // How far the link is now is to be known soon.
    this.liveness.recarried(nowUs);
  }

  /** The first `count` slots of the outbox are gone. */
  drained(count: number): void {
    this.#outbox.drained(count);
  }

  /** Lends a packet in flight, oldest first, so that a copy can go elsewhere; -1 when there is none: see `Flight`. */
  lend(): number {
    if (this.#outbox.count > 0) this.#outbox.withdraw(this.#arena);
    return this.sender.lend();
  }

  #abandon(nowUs: TimeUs): void {
    this.#outbox.withdraw(this.#arena);
    this.sender.abandon(nowUs);
  }

  #detectLoss(nowUs: TimeUs): void {
    this.sender.detectLoss(nowUs);
    // What is lost is not answered any more.
    if (this.up && this.sender.idle) this.liveness.forgotten();
  }

  #open(): boolean {
    return this.carries && !this.blocked && !this.held && !this.#outbox.full;
  }

  #stamp(
    nowUs: TimeUs,
    slot: number,
    flags: number,
    order: number,
    prev: number,
    keep: boolean,
  ): void {
    const seq = this.sender.nextSeq;
    if (order < 0) pushPreamble(this.#arena, slot, TYPE.data, flags, this.transmitId, seq);
    else pushOrderedPreamble(this.#arena, slot, flags, this.transmitId, seq, order, prev);
    const bytes = (this.#arena.length[slot] as number) + this.carriageOctets;
    this.sender.record(nowUs, bytes, keep ? slot : -1);
    this.liveness.sent(nowUs);
    this.#outbox.push(slot);
  }

  /** An empty DATA message that asks for feedback: not held back by window or pacer (RFC 9002, 7.5). */
  #probe(nowUs: TimeUs): void {
    // What was asked of a dead link before is not waited for any more.
    if (this.life.tag === "down") this.sender.forgetProbes(nowUs);
    this.liveness.postponed(nowUs);
    const closed = this.blocked || this.held || this.sender.full;
    if (this.#outbox.crammed || closed) return;
    const slot = this.#arena.take();
    if (slot < 0) return;
    this.counters.probesSent += 1;
    this.#stamp(nowUs, slot, FLAG.ackNow, -1, 0, false);
  }
}
