/**
 * Packet slots: all packet memory of a process, born at start-up in one ArrayBuffer.
 *
 *   | counters | seq | start | length | context | info | path | octets ...           |
 *   | 64 x f64 | f64 | u32   | u32    | u32     | u32  | 40 B | SLOT_SIZE each       |   (each x slotCount)
 *
 * A slot is named by its index. Its packet is the `length[slot]` octets at `start[slot]` of
 * `octets`; in front lies headroom for a header, behind it room for a tag. The addon knows the same
 * layout (`src/native/memory.h`) and is checked against it when it attaches.
 *
 * A slot has one owner: the free list, a queue, a batch. `take` and `give` move it between the free
 * list and the caller. A flight that may have to send a packet again is a second owner (`hold`); the
 * slot goes home when both have given it.
 */
import { assert } from "./assert.ts";

/** Octets of a slot. A power of two, so that a slot never straddles more pages than it must. */
export const SLOT_SIZE = 2048;
/** Octets in front of a packet read from the TUN: room for any preamble. */
export const SLOT_HEADROOM = 64;
/** Octets behind a packet: room for the longest tag. */
export const SLOT_TAILROOM = 16;
/** Longest packet that fits between headroom and tailroom. */
export const PACKET_OCTETS_MAX = SLOT_SIZE - SLOT_HEADROOM - SLOT_TAILROOM;
/** Counters shared with the addon. */
export const COUNTERS_MAX = 64;
/** Octets of a path address, see `core/path.ts`. */
export const PATH_OCTETS = 40;

const PER_SLOT_META = 8 + 4 * 4 + PATH_OCTETS;

/** Octets of the whole memory for `slotCount` slots. */
export function memorySize(slotCount: number): number {
  return COUNTERS_MAX * 8 + slotCount * (PER_SLOT_META + SLOT_SIZE);
}

export class Arena {
  readonly slotCount: number;
  readonly memory: ArrayBuffer;
  /** Counters written by the addon, index as in `native/native.ts`. */
  readonly counters: Float64Array;
  /** The 64-bit sequence number of a slot's packet, exact below 2^53. */
  readonly seq: Float64Array;
  /** Offset of the packet's first octet in `octets`. */
  readonly start: Uint32Array;
  /** Octets of the packet, without a tag. */
  readonly length: Uint32Array;
  /** On reception: the number given to the receive context that the packet was opened with. */
  readonly context: Uint32Array;
  /**
   * On reception: bits 0..7 the outer traffic class (DSCP and ECN), bit 8 `INFO_SOURCE_DIFFERS`, bits
   * 16..23 the hop limit that the packet arrived with, 0 when it is not known. On the way out: when the
   * packet first left, milliseconds modulo 2^32 (`bond/repair.ts`).
   */
  readonly info: Uint32Array;
  /** On reception: where the packet came from and where it arrived, PATH_OCTETS each. */
  readonly paths: Uint8Array;
  readonly octets: Uint8Array;
  /** Over the same octets, for multi-octet fields. */
  readonly view: DataView;
  readonly #free: Int32Array;
  #freeCount: number;
  /** Owners of each slot beyond the first. */
  readonly #holds: Uint8Array;

  constructor(slotCount: number) {
    assert(slotCount > 0 && slotCount % 2 === 0, "an arena has an even number of slots");
    this.slotCount = slotCount;
    this.memory = new ArrayBuffer(memorySize(slotCount));
    let at = 0;
    const next = (octets: number) => {
      const from = at;
      at += octets;
      return from;
    };
    this.counters = new Float64Array(this.memory, next(COUNTERS_MAX * 8), COUNTERS_MAX);
    this.seq = new Float64Array(this.memory, next(slotCount * 8), slotCount);
    this.start = new Uint32Array(this.memory, next(slotCount * 4), slotCount);
    this.length = new Uint32Array(this.memory, next(slotCount * 4), slotCount);
    this.context = new Uint32Array(this.memory, next(slotCount * 4), slotCount);
    this.info = new Uint32Array(this.memory, next(slotCount * 4), slotCount);
    this.paths = new Uint8Array(
      this.memory,
      next(slotCount * PATH_OCTETS),
      slotCount * PATH_OCTETS,
    );
    const octetsAt = next(slotCount * SLOT_SIZE);
    this.octets = new Uint8Array(this.memory, octetsAt, slotCount * SLOT_SIZE);
    this.view = new DataView(this.memory, octetsAt, slotCount * SLOT_SIZE);
    this.#free = Int32Array.from({ length: slotCount }, (_, index) => slotCount - 1 - index);
    this.#freeCount = slotCount;
    this.#holds = new Uint8Array(slotCount);
  }

  get freeCount(): number {
    return this.#freeCount;
  }

  /** Takes one slot, its packet empty behind the headroom; -1 when none is free. */
  take(): number {
    if (this.#freeCount === 0) return -1;
    this.#freeCount -= 1;
    const slot = this.#free[this.#freeCount] as number;
    this.start[slot] = slot * SLOT_SIZE + SLOT_HEADROOM;
    this.length[slot] = 0;
    return slot;
  }

  /** A further owner keeps the slot; it has to give it as well. */
  hold(slot: number): void {
    assert((this.#holds[slot] as number) < 255, "a slot has few owners");
    this.#holds[slot] = (this.#holds[slot] as number) + 1;
  }

  /** Whether somebody else owns the slot too. */
  shared(slot: number): boolean {
    return this.#holds[slot] !== 0;
  }

  /** Gives one slot back; it is free when its last owner has. */
  give(slot: number): void {
    if (this.#holds[slot] !== 0) {
      this.#holds[slot] = (this.#holds[slot] as number) - 1;
      return;
    }
    this.#free[this.#freeCount] = slot;
    this.#freeCount += 1;
  }

  /** Tops `batch` up from `from` to at most `to` slots; returns how many slots it holds now. */
  fill(batch: Int32Array, from: number, to: number): number {
    const count = Math.min(to - from, this.#freeCount);
    for (let index = 0; index < count; index += 1) {
      this.#freeCount -= 1;
      batch[from + index] = this.#free[this.#freeCount] as number;
    }
    return from + count;
  }

  /** Sets a packet's octets from elsewhere. For rare messages, not for the data path. */
  write(slot: number, octets: Uint8Array): void {
    assert(octets.length <= PACKET_OCTETS_MAX, "a message fits a slot");
    const at = slot * SLOT_SIZE + SLOT_HEADROOM;
    this.octets.set(octets, at);
    this.start[slot] = at;
    this.length[slot] = octets.length;
  }

  /** A copy of a packet's octets. For rare messages, not for the data path. */
  read(slot: number): Uint8Array {
    const at = this.start[slot] as number;
    return this.octets.slice(at, at + (this.length[slot] as number));
  }
}
