/**
 * What is under way on one link: a ring indexed by sequence number, from the oldest packet whose
 * fate is open to the next to be sent. Knows nothing of windows or timers; those ask it. It may hold
 * packets themselves, so that what is lost can be sent again. While nobody knows whether its packets arrive
 * it lends them to who sends copies of them elsewhere; they stay in flight, and here it is told what became
 * of the originals.
 *
 *   first ........ open ........ next        first: oldest entry kept
 *     lost/acked      in flight              open: oldest entry in flight (or next)
 *
 * Loss detection by packet and time threshold: RFC 9002 section 6.1.
 */
import type { Arena } from "../core/arena.ts";
import type { TimeUs } from "../core/time.ts";

/** Entries at birth; a ring doubles when it is full. Powers of two. */
const ENTRIES_MIN = 256;
/** 65536 packets in flight: 90 MB, or 0.7 s at 1 Gbit/s. Beyond it the link counts as full. */
const ENTRIES_MAX = 65_536;

/** Lost packets kept for whoever sends them again; a power of two. What comes on top is given up. */
const LOST_MAX = 4096;
const NO_SLOT = -1;
/** In place of a slot: lent, and not known to have left as a copy yet. */
const LENT = -2;
/** Packets from here on are long: what a path that drops by size is suspected of (RFC 8899, black holes). */
export const LONG_OCTETS = 1_000;

const IN_FLIGHT = 1;
const ACKED = 2;
const LOST = 3;

/** What became of the original of a packet that was lent. */
export type LentFate = "open" | "arrived" | "lost";

/** What one call of `acknowledge` or `detectLoss` changed. Reused; read it at once. */
export interface FlightChange {
  bytes: number;
  packets: number;
  /** When the newest of them was sent, and the oldest. */
  sentUs: TimeUs;
  firstSentUs: TimeUs;
  /** Highest sequence number among them; -1 when none. */
  largest: number;
  /** Packets acknowledged after they had been declared lost. */
  spurious: number;
}

export class Flight {
  /** The next sequence number to be sent. */
  next = 0;
  inFlightBytes = 0;
  /** Sequence number of the packet that `lend` handed out last. */
  lentSeq = -1;
  /** Long packets declared lost since the newest one that was acknowledged. */
  longLost = 0;
  /** When `detectLoss` may find a further loss by time; Infinity: never as things stand. */
  lossDeadlineUs: TimeUs = Number.POSITIVE_INFINITY;
  readonly change: FlightChange = {
    bytes: 0,
    packets: 0,
    sentUs: 0,
    firstSentUs: 0,
    largest: -1,
    spurious: 0,
  };
  #longAcked = -1;
  #first = 0;
  #open = 0;
  /** Below this number everything that can be lent is; and how many are. */
  #lentTo = 0;
  #lentCount = 0;
  #mask = ENTRIES_MIN - 1;
  #sentUs = new Float64Array(ENTRIES_MIN);
  #bytes = new Uint32Array(ENTRIES_MIN);
  #state = new Uint8Array(ENTRIES_MIN);
  /** The packet's slot, where it is held. */
  #slot = new Int32Array(ENTRIES_MIN);
  readonly #arena: Arena;
  #lost = new Int32Array(0);
  #lostHead = 0;
  #lostTail = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** No entry is left: send nothing more. */
  get full(): boolean {
    return this.next - this.#first >= ENTRIES_MAX;
  }

  get empty(): boolean {
    return this.#open === this.next;
  }

  /** When the oldest packet in flight was sent; Infinity when there is none. */
  get oldestSentUs(): TimeUs {
    if (this.empty) return Number.POSITIVE_INFINITY;
    return this.#sentUs[this.#open & this.#mask] as number;
  }

  /** A lost packet that was held, oldest first, which the caller owns now; -1 when there is none. */
  takeLost(): number {
    if (this.#lostHead === this.#lostTail) return NO_SLOT;
    const slot = this.#lost[this.#lostHead & (LOST_MAX - 1)] as number;
    this.#lostHead += 1;
    return slot;
  }

  /**
   * Lends the oldest packet in flight that is held and not lent yet, -1 when there is none: the slot is the
   * caller's, who says `returned` or `kept` once it is decided. What is still in an outbox is not lent.
   */
  lend(): number {
    for (let seq = Math.max(this.#lentTo, this.#open); seq < this.next; seq += 1) {
      const at = seq & this.#mask;
      const slot = this.#slot[at] as number;
      this.#lentTo = seq + 1;
      if (this.#state[at] !== IN_FLIGHT || slot < 0 || this.#arena.shared(slot)) continue;
      this.#slot[at] = LENT;
      this.#lentCount += 1;
      this.lentSeq = seq;
      return slot;
    }
    return NO_SLOT;
  }

  /** What became of the original of a packet that was lent and is not settled. */
  fateOf(seq: number): LentFate {
    const state = this.#state[seq & this.#mask];
    if (state === ACKED) return "arrived";
    return state === LOST ? "lost" : "open";
  }

  /** The borrower keeps the slot for good. */
  kept(seq: number): void {
    this.#slot[seq & this.#mask] = NO_SLOT;
    this.#lentCount -= 1;
  }

  /** Takes the slot back: its fate is still open, and no copy left. */
  returned(seq: number, slot: number): void {
    this.#slot[seq & this.#mask] = slot;
    this.#lentCount -= 1;
    if (seq < this.#lentTo) this.#lentTo = seq;
  }

  /** Enters the packet with sequence number `next`; holds `slot` unless it is negative. */
  record(nowUs: TimeUs, bytes: number, slot: number): void {
    if (this.next - this.#first > this.#mask) this.#grow();
    const at = this.next & this.#mask;
    this.#slot[at] = slot;
    if (slot >= 0) this.#arena.hold(slot);
    this.#sentUs[at] = nowUs;
    this.#bytes[at] = bytes;
    this.#state[at] = IN_FLIGHT;
    this.next += 1;
    this.inFlightBytes += bytes;
  }

  /** Begins a new `change`. */
  begin(): void {
    const { change } = this;
    change.bytes = 0;
    change.packets = 0;
    change.sentUs = Number.NEGATIVE_INFINITY;
    change.firstSentUs = Number.POSITIVE_INFINITY;
    change.largest = -1;
    change.spurious = 0;
  }

  /** Adds to `change` what `from`..`to` (inclusive) newly acknowledges. */
  acknowledge(from: number, to: number): void {
    const last = Math.min(to, this.next - 1);
    for (let seq = Math.max(from, this.#first); seq <= last; seq += 1) {
      const at = seq & this.#mask;
      const state = this.#state[at];
      if (state === ACKED) continue;
      if (state === LOST) this.change.spurious += 1;
      else this.inFlightBytes -= this.#bytes[at] as number;
      this.#state[at] = ACKED;
      if ((this.#bytes[at] as number) >= LONG_OCTETS && seq > this.#longAcked) {
        this.#longAcked = seq;
        this.longLost = 0;
      }
      this.#release(at);
      this.#note(seq, at);
    }
  }

  /** Forgets what is settled. `keepLostUs`: how long a lost packet may still prove spurious. */
  settle(nowUs: TimeUs, keepLostUs: number): void {
    while (this.#open < this.next && this.#state[this.#open & this.#mask] !== IN_FLIGHT) {
      this.#open += 1;
    }
    while (this.#first < this.#open) {
      const at = this.#first & this.#mask;
      const old = nowUs - (this.#sentUs[at] as number) > keepLostUs;
      if (this.#state[at] === LOST && !old) return;
      // The borrower is going to ask.
      if (this.#lentCount > 0 && this.#slot[at] === LENT) return;
      this.#first += 1;
    }
  }

  /**
   * Declares lost what `largestAcked` has left behind; `change` tells what, `lossDeadlineUs` when to
   * look again.
   */
  detectLoss(
    nowUs: TimeUs,
    largestAcked: number,
    packetThreshold: number,
    lossDelayUs: number,
  ): void {
    this.begin();
    this.lossDeadlineUs = Number.POSITIVE_INFINITY;
    for (let seq = this.#open; seq < largestAcked; seq += 1) {
      const at = seq & this.#mask;
      if (this.#state[at] !== IN_FLIGHT) continue;
      const deadlineUs = (this.#sentUs[at] as number) + lossDelayUs;
      if (largestAcked - seq < packetThreshold && deadlineUs > nowUs) {
        // Later packets were sent later: the first survivor has the first deadline.
        this.lossDeadlineUs = deadlineUs;
        return;
      }
      this.#lose(seq, at);
    }
  }

  /** Declares everything lost: the link is gone. */
  loseAll(): void {
    this.begin();
    this.lossDeadlineUs = Number.POSITIVE_INFINITY;
    for (let seq = this.#open; seq < this.next; seq += 1) {
      const at = seq & this.#mask;
      if (this.#state[at] === IN_FLIGHT) this.#lose(seq, at);
    }
  }

  /** What was sent so far took another path: its losses say nothing of this one. */
  moved(): void {
    this.#longAcked = this.next - 1;
    this.longLost = 0;
  }

  /** Gives every slot back: nothing will be sent again. */
  forget(): void {
    for (let seq = this.#open; seq < this.next; seq += 1) this.#release(seq & this.#mask);
    for (let slot = this.takeLost(); slot >= 0; slot = this.takeLost()) this.#arena.give(slot);
  }

  #release(at: number): void {
    const slot = this.#slot[at] as number;
    if (slot < 0) return;
    this.#slot[at] = NO_SLOT;
    this.#arena.give(slot);
  }

  #lose(seq: number, at: number): void {
    this.inFlightBytes -= this.#bytes[at] as number;
    this.#state[at] = LOST;
    if ((this.#bytes[at] as number) >= LONG_OCTETS && seq > this.#longAcked) this.longLost += 1;
    this.#keepLost(at);
    this.#note(seq, at);
  }

  #keepLost(at: number): void {
    const slot = this.#slot[at] as number;
    if (slot < 0) return;
    // A slot that is still in an outbox was never sent, and must not be stamped anew there.
    if (this.#lostTail - this.#lostHead === LOST_MAX || this.#arena.shared(slot)) {
      this.#release(at);
      return;
    }
    if (this.#lost.length === 0) this.#lost = new Int32Array(LOST_MAX);
    this.#lost[this.#lostTail & (LOST_MAX - 1)] = slot;
    this.#lostTail += 1;
    this.#slot[at] = NO_SLOT;
  }

  #note(seq: number, at: number): void {
    const { change } = this;
    change.bytes += this.#bytes[at] as number;
    change.packets += 1;
    if (seq > change.largest) change.largest = seq;
    const sentUs = this.#sentUs[at] as number;
    if (sentUs > change.sentUs) change.sentUs = sentUs;
    if (sentUs < change.firstSentUs) change.firstSentUs = sentUs;
  }

  #grow(): void {
    const size = (this.#mask + 1) * 2;
    const sentUs = new Float64Array(size);
    const bytes = new Uint32Array(size);
    const state = new Uint8Array(size);
    const slot = new Int32Array(size);
    for (let seq = this.#first; seq < this.next; seq += 1) {
      const from = seq & this.#mask;
      const to = seq & (size - 1);
      sentUs[to] = this.#sentUs[from] as number;
      bytes[to] = this.#bytes[from] as number;
      state[to] = this.#state[from] as number;
      slot[to] = this.#slot[from] as number;
    }
    this.#mask = size - 1;
    this.#sentUs = sentUs;
    this.#bytes = bytes;
    this.#state = state;
    this.#slot = slot;
  }
}
