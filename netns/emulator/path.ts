/**
 * One direction of an emulated link: when does a packet leave, is it lost, does it come twice, is it
 * overtaken. Pure: slots are numbers, time is an argument, chance is seeded. It does not shape the
 * rate; that is the kernel's work behind it.
 *
 *   judge() --pass------> enqueue(slot) ---> ring, ordered by due time ---> dequeue(now)
 *           --duplicate-> enqueue twice         ^ an overtaken packet waits beside the ring until
 *           --reason----> dropped, counted      | `gap` others have passed it
 *
 * Order: due times never decrease, so jitter does not reorder; only `reorder` does.
 */

import { SeededRandom } from "../../src/core/random.ts";
import { MS, NEVER, type TimeUs } from "../../src/core/time.ts";
import { type Impairments, NO_IMPAIRMENTS } from "./impairments.ts";
import { LossModel } from "./loss.ts";
import { Policer } from "./policer.ts";

/** An overtaken packet that nobody overtakes leaves this long after its due time. */
const HOLD_MAX_US = 50 * MS;

export const DROP_REASONS = ["cut", "stopped", "policed", "listed", "lost", "overflow"] as const;
export type PathDrop = (typeof DROP_REASONS)[number];
export type Verdict = "pass" | "duplicate" | "overtaken" | PathDrop;

export interface PathReport {
  /** Packets that arrived at the emulator. */
  readonly packets: number;
  /** Packets that left, second copies included. */
  readonly passed: number;
  readonly duplicated: number;
  readonly overtaken: number;
  readonly dropped: Readonly<Record<PathDrop, number>>;
}

export class EmulatedPath {
  #options: Impairments = NO_IMPAIRMENTS;
  #listed: ReadonlySet<number> = new Set();
  readonly #random: SeededRandom;
  readonly #loss: LossModel;
  readonly #policer = new Policer();
  readonly #slots: Int32Array;
  readonly #due: Float64Array;
  #head = 0;
  #count = 0;
  #lastDueUs: TimeUs = 0;
  #heldSlot = -1;
  #heldPasses = 0;
  #heldUntilUs: TimeUs = NEVER;
  #packets = 0;
  #passed = 0;
  #duplicated = 0;
  #overtaken = 0;
  readonly #dropped: Record<PathDrop, number> = {
    cut: 0,
    stopped: 0,
    policed: 0,
    listed: 0,
    lost: 0,
    overflow: 0,
  };

  /** `packetsMax`: packets in flight on this path; more are dropped as `overflow`. */
  constructor(seed: number, packetsMax: number) {
    this.#random = new SeededRandom(seed);
    this.#loss = new LossModel(this.#random);
    this.#slots = new Int32Array(packetsMax);
    this.#due = new Float64Array(packetsMax);
  }

  /** Changes what is named; the rest stays. Packets in flight keep their due times. */
  set(change: Partial<Impairments>): void {
    this.#options = { ...this.#options, ...change };
    this.#listed = new Set(this.#options.lose);
  }

  /** Whether packets in flight are lost too: a cut wire does not deliver what is on it. */
  get cut(): boolean {
    return this.#options.cut;
  }

  /** Judges the next packet and counts it. `octets`: its length on the wire, for the policer. */
  judge(octets: number, nowUs: TimeUs): Verdict {
    const verdict = this.#judge(octets, nowUs);
    switch (verdict) {
      case "pass":
        break;
      case "duplicate":
        this.#duplicated += 1;
        break;
      case "overtaken":
        this.#overtaken += 1;
        break;
      default:
        this.#dropped[verdict] += 1;
    }
    return verdict;
  }

  /** Puts a packet in flight. `overtaken` only straight after a `judge` that said so. */
  enqueue(slot: number, nowUs: TimeUs, overtaken: boolean): void {
    const dueUs = this.#dueUs(nowUs);
    if (overtaken) {
      this.#heldSlot = slot;
      this.#heldPasses = this.#options.gap;
      this.#heldUntilUs = dueUs + HOLD_MAX_US;
      return;
    }
    this.#append(slot, dueUs);
    if (this.#heldSlot === -1) return;
    this.#heldPasses -= 1;
    if (this.#heldPasses <= 0) this.#releaseHeld(dueUs);
  }

  /** The next packet whose time has come, or -1. */
  dequeue(nowUs: TimeUs): number {
    if (nowUs >= this.#heldUntilUs) this.#releaseHeld(this.#heldUntilUs);
    if (this.#count === 0 || (this.#due[this.#head] as number) > nowUs) return -1;
    const slot = this.#slots[this.#head] as number;
    this.#head = this.#head + 1 === this.#slots.length ? 0 : this.#head + 1;
    this.#count -= 1;
    if (this.#options.cut) this.#dropped.cut += 1;
    else this.#passed += 1;
    return slot;
  }

  deadlineUs(): TimeUs {
    const firstUs = this.#count === 0 ? NEVER : (this.#due[this.#head] as number);
    return Math.min(firstUs, this.#heldUntilUs);
  }

  report(): PathReport {
    return {
      packets: this.#packets,
      passed: this.#passed,
      duplicated: this.#duplicated,
      overtaken: this.#overtaken,
      dropped: { ...this.#dropped },
    };
  }

  #judge(octets: number, nowUs: TimeUs): Verdict {
    const { loss, burst, duplicate, reorder, stop, police, bucket, cut } = this.#options;
    this.#packets += 1;
    if (cut) return "cut";
    if (this.#packets > stop) return "stopped";
    if (!this.#policer.passes(octets, nowUs, police, bucket)) return "policed";
    if (this.#listed.has(this.#packets)) return "listed";
    if (this.#loss.next(loss, burst)) return "lost";
    // Room for a second copy and for the packet that waits beside the ring.
    if (this.#count + 3 > this.#slots.length) return "overflow";
    if (duplicate > 0 && this.#random.next() < duplicate) return "duplicate";
    if (reorder > 0 && this.#heldSlot === -1 && this.#random.next() < reorder) return "overtaken";
    return "pass";
  }

  #dueUs(nowUs: TimeUs): TimeUs {
    const { delayUs, jitterUs } = this.#options;
    const swing = jitterUs === 0 ? 0 : (this.#random.next() * 2 - 1) * jitterUs;
    this.#lastDueUs = Math.max(this.#lastDueUs, nowUs + Math.max(0, Math.round(delayUs + swing)));
    return this.#lastDueUs;
  }

  #append(slot: number, dueUs: TimeUs): void {
    const at = (this.#head + this.#count) % this.#slots.length;
    this.#slots[at] = slot;
    this.#due[at] = dueUs;
    this.#count += 1;
  }

  #releaseHeld(dueUs: TimeUs): void {
    this.#lastDueUs = Math.max(this.#lastDueUs, dueUs);
    this.#append(this.#heldSlot, this.#lastDueUs);
    this.#heldSlot = -1;
    this.#heldUntilUs = NEVER;
  }
}
