/**
 * The realtime class: a short queue of its own, served before all others, for packets that must not
 * wait (`urgency.ts`) and for flows too thin to fill anything; together at most a share of the rate.
 * What it does not admit waits in its fair-queue bucket, and until that has left, no later packet of
 * the flow is admitted: the class never puts a flow out of order.
 */
import type { Arena } from "../../core/arena.ts";
import { MS, type TimeUs } from "../../core/time.ts";
import type { InnerHeader } from "../../wire/inner.ts";
import { PACKET_OCTETS, type Tuning } from "./tuning.ts";
import { URGENCY, URGENT_OCTETS_MAX, urgencyOf } from "./urgency.ts";
import { BUCKETS, bucketOf, KIND, NONE, type Waiting } from "./waiting.ts";

/** Packets of the class that wait at the most. */
export const REALTIME_PACKETS_MAX = 256;

/**
 * What a packet of a thin flow costs in time: 5 ms is 200 packets a second, 4 us an octet 2 Mbit/s.
 * Voice, games, DNS and shells are far below, video and transfers above.
 */
const THIN_PACKET_US = 5 * MS;
const THIN_OCTET_US = 4;
/** A flow may be ahead of that by 16 packets; one beyond must be slower for a while to come back. */
const THIN_AHEAD_US = 80 * MS;
const THIN_DEBT_MAX_US = 500 * MS;

/** The class may be ahead of its share by so long, and always by two full packets. */
const SHARE_AHEAD_US = 100 * MS;
const SHARE_AHEAD_PACKETS = 2;

export class RealtimeQueue {
  packets = 0;
  bytes = 0;
  /** Beyond the longest stay. */
  expired = 0;
  readonly #arena: Arena;
  readonly #tuning: Tuning;
  readonly #waiting: Waiting;
  #head = NONE;
  #tail = NONE;
  /** Until when the rate of a bucket's thin flows is used up: a virtual clock a bucket. */
  readonly #thinUntilUs = new Float64Array(BUCKETS);
  /** The same for the share of the class. */
  #shareUntilUs = 0;

  constructor(arena: Arena, tuning: Tuning, waiting: Waiting) {
    this.#arena = arena;
    this.#tuning = tuning;
    this.#waiting = waiting;
  }

  /** KIND of a packet that arrives now. Once a packet: it is charged to its flow and to the class. */
  kindOf(nowUs: TimeUs, slot: number, header: InnerHeader): number {
    const urgency = urgencyOf(this.#arena, slot, header);
    if (urgency === URGENCY.none) return KIND.bulk;
    const bytes = this.#arena.length[slot] as number;
    const bucket = bucketOf(header.flow);
    if (urgency === URGENCY.ifThin && !this.#isThin(nowUs, bucket, bytes)) return KIND.held;
    if (this.packets >= REALTIME_PACKETS_MAX) return KIND.held;
    if (this.#waiting.heldCount[bucket] !== 0) return KIND.held;
    return this.#withinShare(nowUs, bytes) ? KIND.realtime : KIND.held;
  }

  /** Takes a slot that `waiting` has been told of. */
  push(slot: number): void {
    if (this.#tail === NONE) this.#head = slot;
    else this.#waiting.next[this.#tail] = slot;
    this.#tail = slot;
    this.packets += 1;
    this.bytes += this.#arena.length[slot] as number;
  }

  /** The slot to leave next, NONE when there is none; what has waited too long is gone. */
  peek(nowUs: TimeUs): number {
    while (this.#head !== NONE) {
      const slot = this.#head;
      const sojournUs = nowUs - (this.#waiting.enteredUs[slot] as number);
      if (sojournUs <= this.#tuning.realtimeStayUs) return slot;
      this.expired += 1;
      this.shift();
      this.#arena.give(slot);
    }
    return NONE;
  }

  /** The slot at the head becomes the caller's. */
  shift(): void {
    const slot = this.#head;
    this.#head = this.#waiting.next[slot] as number;
    if (this.#head === NONE) this.#tail = NONE;
    this.packets -= 1;
    this.bytes -= this.#arena.length[slot] as number;
  }

  /** Gives every slot back. */
  clear(): void {
    while (this.#head !== NONE) {
      const slot = this.#head;
      this.shift();
      this.#arena.give(slot);
    }
  }

  /** Charges a packet to its flow; a flow that has been too fast stays so until it was slow enough. */
  #isThin(nowUs: TimeUs, bucket: number, bytes: number): boolean {
    const fromUs = Math.max(this.#thinUntilUs[bucket] as number, nowUs);
    const untilUs = fromUs + Math.max(THIN_PACKET_US, THIN_OCTET_US * bytes);
    this.#thinUntilUs[bucket] = Math.min(untilUs, nowUs + THIN_DEBT_MAX_US);
    return bytes <= URGENT_OCTETS_MAX && untilUs - nowUs <= THIN_AHEAD_US;
  }

  #withinShare(nowUs: TimeUs, bytes: number): boolean {
    const rate = this.#tuning.realtimeRate;
    if (rate <= 0) return false;
    const aheadUs = Math.max(SHARE_AHEAD_US, (SHARE_AHEAD_PACKETS * PACKET_OCTETS) / rate);
    const untilUs = Math.max(this.#shareUntilUs, nowUs) + bytes / rate;
    if (untilUs - nowUs > aheadUs) return false;
    this.#shareUntilUs = untilUs;
    return true;
  }
}
