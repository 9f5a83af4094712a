/**
 * Packets that a link has lost, on their way to being sent again on whichever link delivers first. One
 * bounded try after the other while the packet is young, as a link layer with low persistence does (RFC 3366
 * section 2.2): nothing is guaranteed, but a lossy or dead link costs a flow a round trip rather than a window.
 *
 * And packets that a suspect link lends: nobody knows whether they arrive, so copies go to other links. One whose
 * original arrives before its copy has left is done with; one whose link answers again goes back to it.
 */
import type { Arena } from "../core/arena.ts";
import { MS, NEVER, type TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";

/** A power of two: 0.4 s at 100 Mbit/s. What comes on top is given up. */
export const PACKETS_MAX = 4096;
/** A packet that is older is not worth its octets: its sender has sent it again by now. */
const AGE_MAX_US = 500 * MS;
/** One that is lent may be older by the round trip of its link, which its sender reckons with; by so much at the most. */
const LENT_MORE_MAX_US = 500 * MS;
const CLOCK_MODULUS = 0x1_0000_0000;

export class Repair {
  /** Packets sent again, those lent included. */
  resent = 0;
  /** Packets lent by suspect links, and of them those that need not be sent after all. */
  lent = 0;
  spared = 0;
  /** Packets given up because they were too old or too many. */
  abandoned = 0;
  readonly #arena: Arena;
  #slots = new Int32Array(0);
  /** Of a packet that is lent: its sequence number on the link that lends it. */
  #seqs = new Float64Array(0);
  readonly #lenders: (Link | undefined)[] = [];
  #head = 0;
  #tail = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  get packets(): number {
    return this.#tail - this.#head;
  }

  /** Notes on a packet when it first leaves. Slots on their way out do not use `info` otherwise. */
  born(nowUs: TimeUs, slot: number): void {
    this.#arena.info[slot] = nowUs / MS;
  }

  /** Takes over the slot of a lost packet, its preamble still in front. */
  add(slot: number): void {
    if (this.packets === PACKETS_MAX) this.#abandon(slot);
    else this.#append(slot, undefined, 0);
  }

  /** Borrows what a suspect link may lend, oldest first. */
  borrow(link: Link): void {
    const { sender } = link;
    while (this.packets < PACKETS_MAX) {
      const slot = link.lend();
      if (slot < 0) return;
      this.lent += 1;
      this.#append(slot, link, sender.lentSeq);
    }
  }

  /** The oldest packet that is worth sending, -1 when there is none. */
  peek(nowUs: TimeUs): number {
    while (this.#head < this.#tail) {
      const slot = this.#slots[this.#head & (PACKETS_MAX - 1)] as number;
      if (this.#needless(slot)) continue;
      if (this.#ageUs(nowUs, slot) <= this.#ageMaxUs()) return slot;
      this.drop();
    }
    return -1;
  }

  /** Removes what `peek` has shown, which the caller now owns. */
  shift(): void {
    this.resent += 1;
    this.#keep();
    this.#head += 1;
  }

  /** Gives up what `peek` has shown: no link can carry it. */
  drop(): void {
    this.#keep();
    this.#abandon(this.#slots[this.#head & (PACKETS_MAX - 1)] as number);
    this.#head += 1;
  }

  /** Removes what `peek` has shown, which no link can carry and the caller now owns. */
  surrender(): void {
    this.abandoned += 1;
    this.#keep();
    this.#head += 1;
  }

  /** When the oldest packet is too old; Infinity when there is none. */
  deadlineUs(nowUs: TimeUs): TimeUs {
    if (this.#head === this.#tail) return NEVER;
    const slot = this.#slots[this.#head & (PACKETS_MAX - 1)] as number;
    return nowUs + Math.max(this.#ageMaxUs() - this.#ageUs(nowUs, slot), 0) + MS;
  }

  /** Gives everything back, whoever lent it. */
  clear(): void {
    for (; this.#head < this.#tail; this.#head += 1) {
      this.#arena.give(this.#slots[this.#head & (PACKETS_MAX - 1)] as number);
    }
    // Links of a session that is gone must not stay for this.
    this.#lenders.fill(undefined);
  }

  #append(slot: number, lender: Link | undefined, seq: number): void {
    if (this.#slots.length === 0) {
      this.#slots = new Int32Array(PACKETS_MAX);
      this.#seqs = new Float64Array(PACKETS_MAX);
    }
    const at = this.#tail & (PACKETS_MAX - 1);
    this.#slots[at] = slot;
    this.#seqs[at] = seq;
    this.#lenders[at] = lender;
    this.#tail += 1;
  }

  /** What the first packet's lender lent is not given back, if it has one. */
  #keep(): void {
    const at = this.#head & (PACKETS_MAX - 1);
    const lender = this.#lenders[at];
    if (lender === undefined) return;
    lender.sender.kept(this.#seqs[at] as number);
  }

  /** Passes over the first packet if its original has arrived, or is under way on a link that answers again. */
  #needless(slot: number): boolean {
    const at = this.#head & (PACKETS_MAX - 1);
    const lender = this.#lenders[at];
    if (lender === undefined) return false;
    const seq = this.#seqs[at] as number;
    const fate = lender.sender.fateOf(seq);
    if (fate === "lost" || (fate === "open" && !lender.carries)) return false;
    this.spared += 1;
    if (fate === "open") {
      lender.sender.returned(seq, slot);
    } else {
      this.#keep();
      this.#arena.give(slot);
    }
    this.#head += 1;
    return true;
  }

  #abandon(slot: number): void {
    this.abandoned += 1;
    this.#arena.give(slot);
  }

  /** How old the first packet may get: the sender of one that is lent has not waited longer than the link's answers take. */
  #ageMaxUs(): number {
    const lender = this.#lenders[this.#head & (PACKETS_MAX - 1)];
    return lender === undefined
      ? AGE_MAX_US
      : AGE_MAX_US + Math.min(lender.rtt.srttUs, LENT_MORE_MAX_US);
  }

  #ageUs(nowUs: TimeUs, slot: number): number {
    const born = this.#arena.info[slot] as number;
    const nowMs = Math.floor(nowUs / MS) % CLOCK_MODULUS;
    return ((nowMs - born + CLOCK_MODULUS) % CLOCK_MODULUS) * MS;
  }
}
