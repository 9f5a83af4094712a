/** What one side notes of a train of the other: which packets came, when, in what order and how changed. */
import type { TimeUs } from "../core/time.ts";
import type { TrainPacket } from "../wire/measure.ts";

/** Packets of one train. */
export const TRAIN_PACKETS_MAX = 8192;

export class Arrivals {
  readonly count: number;
  /** Arrival less departure, modulo 2^32 us, in order of arrival; first copies only, if they are wanted. */
  readonly transitsUs: number[] | null;
  received = 0;
  duplicates = 0;
  reordered = 0;
  displacement = 0;
  remarked = 0;
  /** Of the last packet. */
  trafficClass = 0;
  /** Of the last packet that left with another one. */
  remarkedTo = 0;
  #firstUs: TimeUs = 0;
  #highest = -1;
  /** Microseconds since the first arrival, and 1; 0: has not come. */
  readonly #sinceUs: Uint32Array;

  /** @param count - 1..TRAIN_PACKETS_MAX */
  constructor(count: number, transits: boolean) {
    this.count = count;
    this.transitsUs = transits ? [] : null;
    this.#sinceUs = new Uint32Array(count);
  }

  note(nowUs: TimeUs, packet: TrainPacket, trafficClass: number): void {
    const { index } = packet;
    if (index >= this.count) return;
    if (this.#sinceUs[index] !== 0) {
      this.duplicates += 1;
      return;
    }
    if (this.received === 0) this.#firstUs = nowUs;
    this.#sinceUs[index] = nowUs - this.#firstUs + 1;
    this.received += 1;
    this.transitsUs?.push(transitUs(nowUs, packet.sentUs));
    this.trafficClass = trafficClass;
    if (trafficClass !== packet.trafficClass) {
      this.remarked += 1;
      this.remarkedTo = trafficClass;
    }
    if (index < this.#highest) {
      this.reordered += 1;
      this.displacement = Math.max(this.displacement, this.#highest - index);
    }
    this.#highest = Math.max(this.#highest, index);
  }

  /** Microseconds since the first arrival; -1 for those that have not come. */
  since(from: number, count: number): number[] {
    return Array.from(this.#sinceUs.subarray(from, from + count), (since) => since - 1);
  }
}

/** Differences of clocks that wrap at 2^32 us, brought to within half of that around 0. */
export function transitUs(nowUs: TimeUs, sentUs: number): number {
  const difference = (((nowUs % 0x1_0000_0000) - sentUs) % 0x1_0000_0000) + 0x1_0000_0000;
  const wrapped = difference % 0x1_0000_0000;
  return wrapped >= 0x8000_0000 ? wrapped - 0x1_0000_0000 : wrapped;
}
