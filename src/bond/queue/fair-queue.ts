/**
 * FQ-CoDel (RFC 8290): packets wait in buckets by flow, buckets take turns by deficit round robin,
 * a bucket that was empty comes first, and CoDel watches each. Whoever lets the most octets wait pays
 * when there are too many. The packet picked to leave next stays picked until it is shifted.
 */
import type { Arena } from "../../core/arena.ts";
import { SECOND, type TimeUs } from "../../core/time.ts";
import { markCe } from "../../wire/inner.ts";
import { Codel } from "./codel.ts";
import { PACKET_OCTETS, type Tuning } from "./tuning.ts";
import { BUCKETS, bucketOf, NONE, type Waiting } from "./waiting.ts";

/** Octets a bucket may send in its turn. */
const QUANTUM = PACKET_OCTETS;
/**
 * The fattest bucket is looked for again after so many drops, or when half of it is gone: the cost of
 * a look, one step an active bucket, is spread over them (RFC 8290 section 4.1.3 drops in batches
 * instead, which costs one flow many packets at once).
 */
const DROPS_A_SEARCH = 64;
/**
 * The newest packet of a flow stays for so long when nothing can leave: it is what a TCP sender has just
 * sent again, and waits longer and longer to send once more (RFC 6298 section 5.5).
 */
const LAST_STAY_US = 30 * SECOND;
/** Which list a bucket is in. */
const LIST = { none: 0, fresh: 1, old: 2 } as const;

export class FairQueue {
  /** All that wait, the picked one too. */
  packets = 0;
  bytes = 0;
  /** By CoDel: told by a loss, told by a mark. */
  dropped = 0;
  marked = 0;
  /** Beyond the longest stay. */
  expired = 0;
  /** Beyond the hard limit. */
  overflowed = 0;
  readonly #arena: Arena;
  readonly #tuning: Tuning;
  readonly #waiting: Waiting;
  readonly #codel: Codel;
  readonly #head = new Int32Array(BUCKETS).fill(NONE);
  readonly #tail = new Int32Array(BUCKETS).fill(NONE);
  readonly #bytes = new Int32Array(BUCKETS);
  readonly #deficit = new Int32Array(BUCKETS);
  readonly #list = new Uint8Array(BUCKETS);
  /** The bucket behind this one in its list. */
  readonly #after = new Int32Array(BUCKETS).fill(NONE);
  #freshHead = NONE;
  #freshTail = NONE;
  #oldHead = NONE;
  #oldTail = NONE;
  #picked = NONE;
  #fattest = NONE;
  #fattestBytesMin = 0;
  #dropsLeft = 0;

  constructor(arena: Arena, tuning: Tuning, waiting: Waiting) {
    this.#arena = arena;
    this.#tuning = tuning;
    this.#waiting = waiting;
    this.#codel = new Codel(tuning);
  }

  /** Takes a slot that `waiting` has been told of. */
  push(slot: number): void {
    const bucket = bucketOf(this.#waiting.flow[slot] as number);
    const bytes = this.#arena.length[slot] as number;
    const tail = this.#tail[bucket] as number;
    if (tail === NONE) this.#head[bucket] = slot;
    else this.#waiting.next[tail] = slot;
    this.#tail[bucket] = slot;
    this.#bytes[bucket] = (this.#bytes[bucket] as number) + bytes;
    this.packets += 1;
    this.bytes += bytes;
    if (this.#list[bucket] !== LIST.none) return;
    this.#deficit[bucket] = QUANTUM;
    this.#appendFresh(bucket);
  }

  /** The slot to leave next, NONE when all are gone; CoDel and the longest stay have had their say. */
  peek(nowUs: TimeUs): number {
    const picked = this.#picked;
    if (picked !== NONE) {
      const bucket = bucketOf(this.#waiting.flow[picked] as number);
      if (this.#ageUs(nowUs, picked) <= this.#stayUs(bucket)) return picked;
      this.expired += 1;
      this.#picked = NONE;
      this.#discard(picked);
    }
    this.#picked = this.#pick(nowUs);
    return this.#picked;
  }

  /** The picked slot becomes the caller's. */
  shift(): void {
    const slot = this.#picked;
    this.#picked = NONE;
    this.#forget(slot);
  }

  /** Drops a packet from the head of the fattest bucket; false: there is none. */
  dropFattest(): boolean {
    const known = this.#fattest;
    const fat = known !== NONE && (this.#bytes[known] as number) > this.#fattestBytesMin;
    if (!fat || this.#dropsLeft === 0) this.#findFattest();
    const bucket = this.#fattest;
    if (bucket === NONE) return false;
    this.#dropsLeft -= 1;
    this.overflowed += 1;
    this.#codel.hasten(bucket);
    this.#discard(this.#takeHead(bucket));
    return true;
  }

  /** Gives every slot back. */
  clear(): void {
    if (this.#picked !== NONE) this.#discard(this.#picked);
    this.#picked = NONE;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      while (this.#head[bucket] !== NONE) this.#discard(this.#takeHead(bucket));
    }
  }

  /** RFC 8290 section 4.2. */
  #pick(nowUs: TimeUs): number {
    for (;;) {
      const fresh = this.#freshHead !== NONE;
      const bucket = fresh ? this.#freshHead : this.#oldHead;
      if (bucket === NONE) return NONE;
      const deficit = this.#deficit[bucket] as number;
      if (deficit <= 0) {
        this.#deficit[bucket] = deficit + QUANTUM;
        this.#removeFirst(fresh);
        this.#appendOld(bucket);
        continue;
      }
      const slot = this.#next(nowUs, bucket);
      if (slot !== NONE) {
        this.#deficit[bucket] = deficit - (this.#arena.length[slot] as number);
        return slot;
      }
      this.#removeFirst(fresh);
      // A bucket must not come first again and again by being empty for a moment.
      if (fresh && this.#oldHead !== NONE) this.#appendOld(bucket);
      else this.#list[bucket] = LIST.none;
    }
  }

  /** The first packet of a bucket that neither its age nor CoDel takes away. */
  #next(nowUs: TimeUs, bucket: number): number {
    while (this.#head[bucket] !== NONE) {
      const slot = this.#takeHead(bucket);
      const sojournUs = this.#ageUs(nowUs, slot);
      if (sojournUs > this.#stayUs(bucket)) {
        this.expired += 1;
        this.#discard(slot);
        continue;
      }
      // Only the last of its flow can be so old, and nothing has left for long.
      if (sojournUs > this.#tuning.stayUs) return slot;
      const bytesBehind = this.bytes - (this.#arena.length[slot] as number);
      if (!this.#codel.signals(bucket, nowUs, sojournUs, bytesBehind)) return slot;
      if (!this.#codel.overloaded(bucket, nowUs) && markCe(this.#arena, slot)) {
        this.marked += 1;
        return slot;
      }
      this.dropped += 1;
      this.#discard(slot);
    }
    this.#codel.emptied(bucket);
    return NONE;
  }

  #ageUs(nowUs: TimeUs, slot: number): number {
    return nowUs - (this.#waiting.enteredUs[slot] as number);
  }

  /** How long the packet that was just taken out of a bucket may wait. */
  #stayUs(bucket: number): number {
    const { stayUs } = this.#tuning;
    return this.#head[bucket] === NONE ? Math.max(stayUs, LAST_STAY_US) : stayUs;
  }

  /** Takes the first slot out of a bucket; it still counts as waiting. */
  #takeHead(bucket: number): number {
    const slot = this.#head[bucket] as number;
    const next = this.#waiting.next[slot] as number;
    this.#head[bucket] = next;
    if (next === NONE) this.#tail[bucket] = NONE;
    this.#bytes[bucket] = (this.#bytes[bucket] as number) - (this.#arena.length[slot] as number);
    return slot;
  }

  #discard(slot: number): void {
    this.#forget(slot);
    this.#arena.give(slot);
  }

  #forget(slot: number): void {
    this.packets -= 1;
    this.bytes -= this.#arena.length[slot] as number;
    this.#waiting.leave(slot);
  }

  #findFattest(): void {
    this.#fattest = NONE;
    let most = 0;
    for (const first of [this.#freshHead, this.#oldHead]) {
      for (let bucket = first; bucket !== NONE; bucket = this.#after[bucket] as number) {
        const bytes = this.#bytes[bucket] as number;
        if (bytes <= most) continue;
        most = bytes;
        this.#fattest = bucket;
      }
    }
    this.#fattestBytesMin = most / 2;
    this.#dropsLeft = DROPS_A_SEARCH;
  }

  #appendFresh(bucket: number): void {
    this.#list[bucket] = LIST.fresh;
    this.#after[bucket] = NONE;
    if (this.#freshHead === NONE) this.#freshHead = bucket;
    else this.#after[this.#freshTail] = bucket;
    this.#freshTail = bucket;
  }

  #appendOld(bucket: number): void {
    this.#list[bucket] = LIST.old;
    this.#after[bucket] = NONE;
    if (this.#oldHead === NONE) this.#oldHead = bucket;
    else this.#after[this.#oldTail] = bucket;
    this.#oldTail = bucket;
  }

  #removeFirst(fresh: boolean): void {
    if (fresh) this.#freshHead = this.#after[this.#freshHead] as number;
    else this.#oldHead = this.#after[this.#oldHead] as number;
  }
}
