/**
 * Restores the order of packets within each inner flow, and holds no other flow up for it. A packet
 * names its predecessor in the flow (`prev`); it is held until that one has been released, is known to
 * be lost for good, or has been waited for long enough.
 *
 * A hole is known to be missing when every link that carries packets has delivered something newer: a
 * link keeps its own order, so what has not come by then will come as a second copy or not at all. How
 * long a copy takes is the sender's to say. The timer is only the fallback, for a link that has fallen
 * silent. Keeps no state per flow; works on slots and never allocates.
 *
 *   hole found ----- every link has passed it ---- + repair ----> given up
 *        |---------------- + hold (a link is silent) + repair --> given up
 */
import type { Arena } from "../core/arena.ts";
import { assert } from "../core/assert.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { PREV_FAR, PREV_UNORDERED } from "../wire/preamble.ts";
import { Progress } from "./progress.ts";
import { Seen } from "./seen.ts";

/** Order numbers remembered: a power of two. 16384 packets are 0.2 s at 1 Gbit/s, longer than any is held. */
const WINDOW = 16_384;
const MASK = WINDOW - 1;
const ORDER_MODULUS = 0x100_0000;

/** Slots held at the most; beyond it the oldest hole is given up. */
export const HELD_MAX = 4096;
/** Packets taken in at the most before `ready` must be emptied. */
const READY_ROOM = 512;
/** Holes waited for at the most. */
const HOLES_MAX = 1024;
/** Reordering within a link that does not count as loss. */
const SLACK_US = 2 * MS;
/** Longest that anything is held, whatever the sender says. */
const HOLD_MAX_US = 1 * SECOND;
/** Before the sender has said anything. */
const HOLD_INITIAL_US = 100 * MS;

/** What is known of an order number. */
const UNKNOWN = 0;
const HELD = 1;
const RELEASED = 2;
const GIVEN_UP = 3;

export class Resequencer {
  /** Slots released and not yet taken, in order of release. */
  readonly ready = new Int32Array(HELD_MAX + READY_ROOM);
  readyCount = 0;
  heldCount = 0;
  /** Packets that came twice; their slots were given back. */
  duplicates = 0;
  /** Holes given up as lost, by the links' progress and by time. */
  lostByProgress = 0;
  lostByTime = 0;
  /** Packets that came after their successors had been released. */
  late = 0;
  readonly #arena: Arena;
  #state = new Uint8Array(0);
  /** The slot that waits for an order number, -1 if none; and that slot's own order number. */
  #waiting = new Int32Array(0);
  #waitingOrder = new Float64Array(0);
  /** Holes by their numbers, ascending. */
  readonly #holes = new Float64Array(HOLES_MAX);
  readonly #foundUs = new Float64Array(HOLES_MAX);
  /** When the hole was known to be missing; Infinity: not yet. */
  readonly #missedUs = new Float64Array(HOLES_MAX);
  #holdUs = HOLD_INITIAL_US;
  #repairUs = 0;
  #holeCount = 0;
  /** Highest order number seen, 64-bit; -1 before the first. */
  #highest = -1;
  readonly #progress = new Progress();
  readonly #seen = new Seen();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /**
   * Takes over the slot of an ordered packet that came on `link`; `order` 24 bits, `prev` as on the
   * wire. Call `settle` after a batch, then take `ready`.
   */
  take(nowUs: TimeUs, link: number, slot: number, order: number, prev: number): void {
    const full = this.#reconstruct(order);
    if (!this.#seen.add(full)) {
      this.duplicates += 1;
      this.#arena.give(slot);
      return;
    }
    if (this.#highest >= 0 && full <= this.#highest - WINDOW) {
      // Too old to be told from a current number: it waits for nobody and nobody waits for it.
      this.late += 1;
      this.#emit(slot);
      return;
    }
    this.#advance(full);
    this.#progress.raise(nowUs, link, full);
    const state = this.#stateOf(full);
    if (state === GIVEN_UP) this.late += 1;
    const predecessor = full - prev;
    const free = prev === PREV_UNORDERED || prev === PREV_FAR || state === GIVEN_UP;
    if (free || this.#stateOf(predecessor) >= RELEASED) this.#release(slot, full);
    else this.#hold(nowUs, slot, full, predecessor);
  }

  /** Takes over the slot of a packet without order: it is ready at once. */
  pass(slot: number): void {
    this.#emit(slot);
  }

  /** Something without order came on this link. */
  alive(nowUs: TimeUs, link: number): void {
    this.#progress.alive(nowUs, link);
  }

  /** The peer says, on this link, that it has sent everything up to `order` (24 bits). */
  heard(nowUs: TimeUs, link: number, order: number): void {
    if (this.#highest >= 0) this.#progress.raise(nowUs, link, this.#reconstruct(order));
  }

  /**
   * What the sender says: `holdUs`, by how much its slowest link may be behind its fastest; `repairUs`,
   * how long after a packet is missed a second copy may come, 0 when none will.
   */
  expect(holdUs: number, repairUs: number): void {
    this.#holdUs = Math.max(holdUs, SLACK_US);
    this.#repairUs = repairUs;
  }

  /**
   * Gives up what is lost or overdue, and with it every earlier hole: a packet whose predecessor is lost
   * does not know of those before that one, which may be of its flow and held.
   */
  settle(nowUs: TimeUs): void {
    if (this.#holeCount === 0) return;
    const floor = this.#progress.floor(nowUs);
    let kept = 0;
    let overdue = 0;
    for (let index = 0; index < this.#holeCount; index += 1) {
      const hole = this.#holes[index] as number;
      if (this.#stateOf(hole) !== UNKNOWN) continue;
      if (hole < floor) this.#miss(nowUs, index);
      if (this.#dueUs(index) <= nowUs) overdue = kept + 1;
      this.#moveHole(index, kept);
      kept += 1;
    }
    this.#holeCount = kept;
    this.#giveUpFirst(overdue);
  }

  /** When `settle` is to be called again; Infinity when nothing is held. */
  deadlineUs(): TimeUs {
    let deadlineUs = NEVER;
    for (let index = 0; index < this.#holeCount; index += 1) {
      deadlineUs = Math.min(deadlineUs, this.#dueUs(index));
    }
    return deadlineUs;
  }

  /** Every link with a say has passed the hole. A quiet one may still have the packet under way. */
  #miss(nowUs: TimeUs, index: number): void {
    if (this.#missedUs[index] !== NEVER) return;
    const heldUs = nowUs - (this.#foundUs[index] as number);
    if (!this.#progress.someQuiet || heldUs >= this.#holdUs) this.#missedUs[index] = nowUs;
  }

  /** When a hole is given up. */
  #dueUs(index: number): TimeUs {
    const foundUs = this.#foundUs[index] as number;
    const missedUs = this.#missedUs[index] as number;
    const waitedUs = Math.min(this.#holdUs + this.#repairUs, HOLD_MAX_US);
    const passedUs = Math.max(foundUs + SLACK_US, missedUs + this.#repairUs);
    return Math.min(foundUs + waitedUs, passedUs);
  }

  /** Releases everything that is held. */
  flush(): void {
    while (this.#holeCount > 0) this.#giveUpFirst(1);
  }

  #hold(nowUs: TimeUs, slot: number, order: number, predecessor: number): void {
    while (this.#full() && this.#holeCount > 0) this.#giveUpFirst(1);
    if (this.#full() || this.#stateOf(predecessor) >= RELEASED) {
      this.#release(slot, order);
      return;
    }
    const at = predecessor & MASK;
    // Two packets that name one predecessor: not by an honest sender. The later one need not wait.
    if (this.#waiting[at] !== -1) {
      this.#release(slot, order);
      return;
    }
    this.#state[order & MASK] = HELD;
    this.#waiting[at] = slot;
    this.#waitingOrder[at] = order;
    this.heldCount += 1;
    if (this.#stateOf(predecessor) !== UNKNOWN) return;
    this.#addHole(nowUs, predecessor);
  }

  /** Keeps holes sorted; a new one is nearly always the last. */
  #addHole(nowUs: TimeUs, hole: number): void {
    let index = this.#holeCount;
    for (; index > 0 && (this.#holes[index - 1] as number) > hole; index -= 1) {
      this.#moveHole(index - 1, index);
    }
    this.#holes[index] = hole;
    this.#foundUs[index] = nowUs;
    this.#missedUs[index] = NEVER;
    this.#holeCount += 1;
  }

  #moveHole(from: number, to: number): void {
    this.#holes[to] = this.#holes[from] as number;
    this.#foundUs[to] = this.#foundUs[from] as number;
    this.#missedUs[to] = this.#missedUs[from] as number;
  }

  /** Releases a packet and, one after the other, those that waited for it. */
  #release(slot: number, order: number): void {
    this.#emit(slot);
    this.#state[order & MASK] = RELEASED;
    this.#releaseAfter(order);
  }

  #releaseAfter(order: number): void {
    let at = order & MASK;
    while (this.#waiting[at] !== -1) {
      const next = this.#waitingOrder[at] as number;
      this.#emit(this.#waiting[at] as number);
      this.#waiting[at] = -1;
      this.heldCount -= 1;
      at = next & MASK;
      this.#state[at] = RELEASED;
    }
  }

  #full(): boolean {
    return this.heldCount >= HELD_MAX || this.#holeCount >= HOLES_MAX;
  }

  #emit(slot: number): void {
    assert(this.readyCount < this.ready.length, "what is ready is taken before more comes");
    this.ready[this.readyCount] = slot;
    this.readyCount += 1;
  }

  #giveUp(hole: number): void {
    this.#state[hole & MASK] = GIVEN_UP;
    this.#releaseAfter(hole);
  }

  /** Gives up the `count` holes with the lowest numbers. */
  #giveUpFirst(count: number): void {
    if (count === 0) return;
    for (let index = 0; index < count; index += 1) {
      const hole = this.#holes[index] as number;
      if (this.#stateOf(hole) !== UNKNOWN) continue;
      if (this.#missedUs[index] === NEVER) this.lostByTime += 1;
      else this.lostByProgress += 1;
      this.#giveUp(hole);
    }
    for (let index = count; index < this.#holeCount; index += 1) {
      this.#moveHole(index, index - count);
    }
    this.#holeCount -= count;
  }

  #stateOf(order: number): number {
    if (order <= this.#highest - WINDOW) return GIVEN_UP;
    return this.#state[order & MASK] as number;
  }

  /** Moves the window; what leaves it is given up, so that nobody waits for it for ever. */
  #advance(order: number): void {
    if (this.#highest < 0) {
      // Memory comes with the first ordered packet; what came before that is not ours to wait for.
      this.#state = new Uint8Array(WINDOW).fill(GIVEN_UP);
      this.#waiting = new Int32Array(WINDOW).fill(-1);
      this.#waitingOrder = new Float64Array(WINDOW);
      this.#highest = order - 1;
    }
    if (order <= this.#highest) return;
    if (order - this.#highest >= WINDOW) {
      this.flush();
      this.#state.fill(UNKNOWN);
      this.#highest = order;
      return;
    }
    for (let entering = this.#highest + 1; entering <= order; entering += 1) {
      const at = entering & MASK;
      if (this.#waiting[at] !== -1) this.#releaseAfter(entering);
      this.#state[at] = UNKNOWN;
    }
    this.#highest = order;
  }

  /** The 64-bit number nearest to the highest seen that has these low 24 bits. */
  #reconstruct(order: number): number {
    if (this.#highest < 0) return order + ORDER_MODULUS;
    const base = this.#highest - (this.#highest % ORDER_MODULUS) + order;
    if (base - this.#highest > ORDER_MODULUS / 2) return base - ORDER_MODULUS;
    if (this.#highest - base > ORDER_MODULUS / 2) return base + ORDER_MODULUS;
    return base;
  }
}
