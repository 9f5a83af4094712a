/**
 * One direction of an emulated path: policer, queue, bottleneck, loss on the wire, propagation. When
 * a packet will have passed the bottleneck is known as it enters, so packets in service cost no event;
 * the one event is the arrival of the first packet on its way. Order is kept.
 */
import type { Arena } from "../../src/core/arena.ts";
import type { SeededRandom } from "../../src/core/random.ts";
import { MS, NEVER, type TimeUs } from "../../src/core/time.ts";
import { Codel } from "./codel.ts";
import type { EventQueue, Process } from "./events.ts";
import { LossModel, type LossSpec } from "./loss.ts";
import { Histogram, mbit, Series } from "./record.ts";
import { Steps, type StepsSpec } from "./steps.ts";

export const MBIT = 1 / 8;

export interface PipeSpec {
  readonly rateMbit: StepsSpec;
  readonly delayMs: StepsSpec;
  /** Uniform, on top of the delay. */
  readonly jitterMs?: StepsSpec;
  /** What may wait before the bottleneck: milliseconds at the highest rate, or octets. Default 100 ms. */
  readonly queueMs?: number;
  readonly queueBytes?: number;
  /** CoDel instead of drop-tail alone. */
  readonly codel?: boolean;
  /** Packets that find more octets than this waiting are marked if they may be, instead of nothing. */
  readonly markBytes?: number;
  /** Something before the queue clears the ECN field, or drops what may be marked. */
  readonly ecn?: "cleared" | "dropped";
  readonly loss?: LossSpec;
  readonly policer?: { readonly rateMbit: number; readonly burstBytes: number };
  /** Packets arrive together at multiples of this, as behind a radio that grants slots. */
  readonly aggregateMs?: number;
  /** All that enters between these moments (ms) is lost. */
  readonly cuts?: readonly (readonly [fromMs: number, toMs: number])[];
}

/** Where packets come out. The slot is the receiver's. */
export interface Receiver {
  arrive(nowUs: TimeUs, slot: number, trafficClass: number): void;
  /** The packets that came together are all there. */
  settle(nowUs: TimeUs): void;
}

/** Packets that arrive this much after another are taken by the same wake-up. */
const WAKE_US = 50;
const RING = 1024;
const ECN = 3;

/** What became of packets, by whom they were sent. */
export interface PipeCounts {
  offered: number;
  lost: number;
  dropped: number;
  policed: number;
  marked: number;
  arrived: number;
  arrivedBytes: number;
}

export class Pipe implements Process {
  readonly rate: Steps;
  readonly counts: PipeCounts = newCounts();
  /** Wait before the bottleneck, as each packet that passed it saw it. */
  readonly queueDelay = new Histogram();
  /** Octets that passed, and the longest wait (us), each 10 ms. */
  readonly passed = new Series();
  readonly waits = new Series();
  readonly queueBytesMax: number;
  /** Mixed from every arrival and its moment: equal for equal runs. */
  hash = 0x811c_9dc5;
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #spec: PipeSpec;
  readonly #random: SeededRandom;
  readonly #delay: Steps;
  readonly #jitter: Steps;
  readonly #loss: LossModel;
  readonly #codel: Codel | undefined;
  readonly #receivers: Receiver[] = [];
  readonly #touched: Receiver[] = [];
  #cut = false;
  #number = 0;
  /** When the bottleneck will be free, and when the last packet will arrive. */
  #freeUs: TimeUs = 0;
  #lastUs: TimeUs = 0;
  #tokens = 0;
  #tokensUs: TimeUs = 0;
  #waitingBytes = 0;
  #sinceUs: TimeUs = 0;
  /** Packets on their way; `#served` is the first that has not left the queue. */
  #arrivalUs = new Float64Array(RING);
  #startUs = new Float64Array(RING);
  #slot = new Int32Array(RING);
  #bytes = new Int32Array(RING);
  #port = new Uint8Array(RING);
  #class = new Uint8Array(RING);
  #head = 0;
  #served = 0;
  #tail = 0;

  constructor(arena: Arena, events: EventQueue, spec: PipeSpec, random: SeededRandom) {
    this.#arena = arena;
    this.#events = events;
    this.#id = events.register(this);
    this.#spec = spec;
    this.#random = random;
    this.rate = new Steps(spec.rateMbit, MBIT);
    this.#delay = new Steps(spec.delayMs, MS);
    this.#jitter = new Steps(spec.jitterMs ?? 0, MS);
    this.#loss = new LossModel(spec.loss ?? { kind: "none" }, random);
    this.#codel = spec.codel === true ? new Codel() : undefined;
    this.queueBytesMax = spec.queueBytes ?? (spec.queueMs ?? 100) * MS * this.rate.max;
    this.#tokens = spec.policer?.burstBytes ?? 0;
  }

  /** Returns the port by which packets for this receiver are offered. */
  connect(receiver: Receiver): number {
    this.#receivers.push(receiver);
    return this.#receivers.length - 1;
  }

  cut(): void {
    this.#cut = true;
  }

  restore(): void {
    this.#cut = false;
  }

  /** Takes a packet of `bytes` octets on the wire over. */
  offer(nowUs: TimeUs, port: number, slot: number, bytes: number, trafficClass: number): void {
    this.counts.offered += 1;
    const number = this.#number;
    this.#number += 1;
    const lost = this.#loss.loses(number) || this.#isCut(nowUs) || this.#dislikes(trafficClass);
    if (this.#refusedByPolicer(nowUs, bytes)) {
      this.counts.policed += 1;
      this.#arena.give(slot);
      return;
    }
    this.#advance(nowUs);
    const startUs = Math.max(this.#freeUs, nowUs);
    const seen = this.#spec.ecn === "cleared" ? trafficClass & ~ECN : trafficClass;
    const marked = this.#verdict(startUs, startUs - nowUs, bytes, seen);
    if (marked < 0) {
      this.counts.dropped += 1;
      this.#arena.give(slot);
      return;
    }
    const endUs = this.rate.served(startUs, bytes);
    if (endUs === NEVER) {
      this.counts.dropped += 1;
      this.#arena.give(slot);
      return;
    }
    this.#freeUs = endUs;
    this.#pass(startUs - nowUs, endUs, bytes);
    this.#append(startUs, endUs, port, lost ? -1 : slot, bytes, marked);
    if (!lost) return;
    this.counts.lost += 1;
    this.#arena.give(slot);
  }

  wake(nowUs: TimeUs): void {
    const mask = this.#slot.length - 1;
    while (this.#head < this.#tail) {
      const at = this.#head & mask;
      if ((this.#arrivalUs[at] as number) > nowUs) break;
      if (this.#served === this.#head) this.#serve();
      this.#head += 1;
      const slot = this.#slot[at] as number;
      if (slot < 0) continue;
      this.hash = Math.imul(this.hash ^ (this.#arrivalUs[at] as number), 0x0100_0193);
      this.counts.arrived += 1;
      this.counts.arrivedBytes += this.#bytes[at] as number;
      const receiver = this.#receivers[this.#port[at] as number] as Receiver;
      if (!this.#touched.includes(receiver)) this.#touched.push(receiver);
      receiver.arrive(nowUs, slot, this.#class[at] as number);
    }
    this.#arm(nowUs);
    for (let index = 0; index < this.#touched.length; index += 1) {
      (this.#touched[index] as Receiver).settle(nowUs);
    }
    this.#touched.length = 0;
  }

  /** Forgets the records so far. */
  mark(nowUs: TimeUs): void {
    Object.assign(this.counts, newCounts());
    this.queueDelay.reset();
    this.#sinceUs = nowUs;
  }

  /** Mbit/s that arrived since the mark, outer octets. */
  arrivedMbit(): number {
    return mbit(this.counts.arrivedBytes, this.#events.nowUs - this.#sinceUs);
  }

  /** Of what the bottleneck could have carried since the mark, the share that arrived; outer octets. */
  utilisation(): number {
    const capacity = this.rate.integral(this.#sinceUs, this.#events.nowUs);
    return capacity > 0 ? this.counts.arrivedBytes / capacity : 0;
  }

  /** Share of all offered packets that did not arrive, since the mark. */
  lossShare(): number {
    const { offered, lost, dropped, policed } = this.counts;
    return offered === 0 ? 0 : (lost + dropped + policed) / offered;
  }

  #dislikes(trafficClass: number): boolean {
    return this.#spec.ecn === "dropped" && (trafficClass & ECN) !== 0;
  }

  #isCut(nowUs: TimeUs): boolean {
    if (this.#cut) return true;
    const { cuts } = this.#spec;
    return cuts?.some(([fromMs, toMs]) => nowUs >= fromMs * MS && nowUs < toMs * MS) === true;
  }

  #refusedByPolicer(nowUs: TimeUs, bytes: number): boolean {
    const { policer } = this.#spec;
    if (policer === undefined) return false;
    const gained = (nowUs - this.#tokensUs) * policer.rateMbit * MBIT;
    this.#tokens = Math.min(this.#tokens + gained, policer.burstBytes);
    this.#tokensUs = nowUs;
    if (this.#tokens < bytes) return true;
    this.#tokens -= bytes;
    return false;
  }

  /** The traffic class with which the packet goes on, -1 when the queue drops it. */
  #verdict(startUs: TimeUs, waitUs: number, bytes: number, trafficClass: number): number {
    if (this.#waitingBytes + bytes > this.queueBytesMax && waitUs > 0) return -1;
    const { markBytes } = this.#spec;
    let signalled = markBytes !== undefined && this.#waitingBytes > markBytes;
    if (this.#codel?.hits(startUs, waitUs, bytes / this.rate.at(startUs)) === true) {
      if ((trafficClass & ECN) === 0) return -1;
      signalled = true;
    }
    if (!signalled || (trafficClass & ECN) === 0) return trafficClass;
    this.counts.marked += 1;
    return trafficClass | ECN;
  }

  #pass(waitUs: number, endUs: TimeUs, bytes: number): void {
    this.queueDelay.add(waitUs);
    this.passed.add(endUs, bytes);
    this.waits.raise(endUs, waitUs);
  }

  #append(
    startUs: TimeUs,
    endUs: TimeUs,
    port: number,
    slot: number,
    bytes: number,
    trafficClass: number,
  ): void {
    if (this.#tail - this.#head === this.#slot.length) this.#grow();
    const at = this.#tail & (this.#slot.length - 1);
    const jitterUs = this.#jitter.at(endUs);
    const wanderUs = jitterUs > 0 ? jitterUs * this.#random.next() : 0;
    let arrivalUs = Math.max(this.#lastUs, Math.ceil(endUs + this.#delay.at(endUs) + wanderUs));
    if (this.#spec.aggregateMs !== undefined) {
      const slotUs = this.#spec.aggregateMs * MS;
      arrivalUs = Math.ceil(arrivalUs / slotUs) * slotUs;
    }
    this.#lastUs = arrivalUs;
    this.#arrivalUs[at] = arrivalUs;
    this.#startUs[at] = startUs;
    this.#slot[at] = slot;
    this.#bytes[at] = bytes;
    this.#port[at] = port;
    this.#class[at] = trafficClass;
    this.#waitingBytes += bytes;
    this.#tail += 1;
    if (this.#tail - this.#head === 1) this.#events.set(this.#id, arrivalUs + WAKE_US);
  }

  /** Takes off the queue what is in service or beyond. */
  #advance(nowUs: TimeUs): void {
    const mask = this.#slot.length - 1;
    while (this.#served < this.#tail && (this.#startUs[this.#served & mask] as number) <= nowUs) {
      this.#serve();
    }
  }

  #serve(): void {
    this.#waitingBytes -= this.#bytes[this.#served & (this.#slot.length - 1)] as number;
    this.#served += 1;
  }

  #arm(nowUs: TimeUs): void {
    if (this.#head === this.#tail) return;
    const arrivalUs = this.#arrivalUs[this.#head & (this.#slot.length - 1)] as number;
    this.#events.set(this.#id, Math.max(arrivalUs + WAKE_US, nowUs));
  }

  #grow(): void {
    const before = this.#slot.length;
    const copy = <T extends Float64Array | Int32Array | Uint8Array>(from: T, into: T): T => {
      for (let number = this.#head; number < this.#tail; number += 1) {
        into[number & (2 * before - 1)] = from[number & (before - 1)] as number;
      }
      return into;
    };
    this.#arrivalUs = copy(this.#arrivalUs, new Float64Array(2 * before));
    this.#startUs = copy(this.#startUs, new Float64Array(2 * before));
    this.#slot = copy(this.#slot, new Int32Array(2 * before));
    this.#bytes = copy(this.#bytes, new Int32Array(2 * before));
    this.#port = copy(this.#port, new Uint8Array(2 * before));
    this.#class = copy(this.#class, new Uint8Array(2 * before));
  }
}

function newCounts(): PipeCounts {
  return {
    offered: 0,
    lost: 0,
    dropped: 0,
    policed: 0,
    marked: 0,
    arrived: 0,
    arrivedBytes: 0,
  };
}
