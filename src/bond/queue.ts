/**
 * The queue that inner packets wait in until a link pulls them; the only one they should meet, since
 * links are kept short. A realtime class goes first (`queue/realtime.ts`), the others take turns by
 * flow under CoDel (`queue/fair-queue.ts`). Bounded in packets, octets and time.
 *
 * Drive it so: `push`; `peek` shows what should leave next, `shift` takes it. No push may come between
 * a `peek` and the `shift` that goes with it. `tune` it when the links' rates change.
 */
import type { Arena } from "../core/arena.ts";
import type { TimeUs } from "../core/time.ts";
import { InnerHeader, PROTOCOL, readInner } from "../wire/inner.ts";
import { clampMss } from "../wire/mss.ts";
import { FairQueue } from "./queue/fair-queue.ts";
import { RealtimeQueue } from "./queue/realtime.ts";
import { StandstillClock } from "./queue/standstill.ts";
import { QUEUE_PACKETS_MAX, type Service, Tuning } from "./queue/tuning.ts";
import { KIND, NONE, Waiting } from "./queue/waiting.ts";

export { QUEUE_BYTES_MAX, QUEUE_DELAY_MAX_US, QUEUE_PACKETS_MAX } from "./queue/tuning.ts";
export type { Service };

export class IngressQueue {
  /** Of the packet that `peek` showed: its 16-bit flow hash, and whether it is of the realtime class. */
  headFlow = 0;
  headRealtime = false;
  /** What the tunnel carries, octets: connections that open through it promise no more. */
  mtu = Number.POSITIVE_INFINITY;
  readonly #arena: Arena;
  readonly #tuning = new Tuning();
  /** Of each class, since urgent packets leave when others have to wait for a window. */
  readonly #fairClock = new StandstillClock(this.#tuning);
  readonly #realtimeClock = new StandstillClock(this.#tuning);
  readonly #header = new InnerHeader();
  #peekedUs: TimeUs = 0;
  /** Absent until the first packet: a peer that never sends costs nothing. */
  #lanes: Lanes | undefined;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  get packets(): number {
    const lanes = this.#lanes;
    return lanes === undefined ? 0 : lanes.fair.packets + lanes.realtime.packets;
  }

  get bytes(): number {
    const lanes = this.#lanes;
    return lanes === undefined ? 0 : lanes.fair.bytes + lanes.realtime.bytes;
  }

  /** Octets that are not of the realtime class. */
  get bulkBytes(): number {
    return this.#lanes?.fair.bytes ?? 0;
  }

  get realtimePackets(): number {
    return this.#lanes?.realtime.packets ?? 0;
  }

  /** Packets dropped because the queue was full. */
  get overflowed(): number {
    return this.#lanes?.fair.overflowed ?? 0;
  }

  /** Packets dropped, and packets marked, because they had waited above CoDel's target. */
  get dropped(): number {
    return this.#lanes?.fair.dropped ?? 0;
  }

  get marked(): number {
    return this.#lanes?.fair.marked ?? 0;
  }

  /** Packets dropped because they had waited too long for anybody. */
  get expired(): number {
    const lanes = this.#lanes;
    return lanes === undefined ? 0 : lanes.fair.expired + lanes.realtime.expired;
  }

  /** Says how the links serve the queue; cheap, meant for every few milliseconds. */
  tune(service: Service): void {
    this.#tuning.set(service);
  }

  /** Takes the slot over. What is too much is dropped from the flow that has most waiting. */
  push(nowUs: TimeUs, slot: number): void {
    this.#lanes ??= lanesOf(this.#arena, this.#tuning);
    const { waiting, fair, realtime } = this.#lanes;
    const header = this.#header;
    readInner(this.#arena, slot, header);
    if (header.protocol === PROTOCOL.tcp) clampMss(this.#arena, slot, header, this.mtu);
    const kind = realtime.kindOf(nowUs, slot, header);
    const lane = kind === KIND.realtime ? realtime : fair;
    const clock = kind === KIND.realtime ? this.#realtimeClock : this.#fairClock;
    if (lane.packets === 0) clock.began(nowUs);
    waiting.enter(clock.at(nowUs), slot, header.flow, kind);
    lane.push(slot);
    const { limitBytes } = this.#tuning;
    while (
      fair.packets + realtime.packets > QUEUE_PACKETS_MAX ||
      fair.bytes + realtime.bytes > limitBytes
    ) {
      if (!fair.dropFattest()) return;
    }
  }

  /**
   * The slot that should leave next, -1 when none waits. CoDel is asked here, once for each packet:
   * one that was shown is shown again until it is shifted, is too old or a realtime packet has come.
   */
  peek(nowUs: TimeUs): number {
    const lanes = this.#lanes;
    if (lanes === undefined) return NONE;
    this.#peekedUs = nowUs;
    let slot = lanes.realtime.peek(this.#realtimeClock.at(nowUs));
    this.headRealtime = slot !== NONE;
    if (slot === NONE) slot = lanes.fair.peek(this.#fairClock.at(nowUs));
    if (slot !== NONE) this.headFlow = lanes.waiting.flow[slot] as number;
    return slot;
  }

  /** Removes the slot that `peek` showed, which the caller now owns. */
  shift(): void {
    if (this.headRealtime) {
      this.#realtimeClock.left(this.#peekedUs);
      this.#lanes?.realtime.shift();
    } else {
      this.#fairClock.left(this.#peekedUs);
      this.#lanes?.fair.shift();
    }
  }

  /** Gives every slot back. */
  clear(): void {
    this.#lanes?.realtime.clear();
    this.#lanes?.fair.clear();
  }
}

interface Lanes {
  readonly waiting: Waiting;
  readonly realtime: RealtimeQueue;
  readonly fair: FairQueue;
}

function lanesOf(arena: Arena, tuning: Tuning): Lanes {
  const waiting = new Waiting(arena.slotCount);
  const realtime = new RealtimeQueue(arena, tuning, waiting);
  return { waiting, realtime, fair: new FairQueue(arena, tuning, waiting) };
}
