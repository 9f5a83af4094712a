/** What one side notes of a train of the other: which packets came, when, in what order and how changed. */
import type { TimeUs } from "../core/time.ts";
import type { TrainPacket } from "../wire/measure.ts";

/** Packets of one train. */
export const TRAIN_PACKETS_MAX = 8192;

export class Arrivals {
  readonly count: number;
  /** Each packet's, once; NaN: has not come. */
  readonly arrivalUs: Float64Array;
  /** Arrival less departure, modulo 2^32 us, in order of arrival; first copies only. */
  readonly transitsUs: number[] = [];
  received = 0;
  duplicates = 0;
  reordered = 0;
  displacement = 0;
  remarked = 0;
  /** Of the last packet. */
  trafficClass = 0;
  /** Of the last packet that left with another one. */
  remarkedTo = 0;
  firstUs: TimeUs = Number.NaN;
  #highest = -1;

  /** @param count - 1..TRAIN_PACKETS_MAX */
  constructor(count: number) {
    this.count = count;
    this.arrivalUs = new Float64Array(count).fill(Number.NaN);
  }

  note(nowUs: TimeUs, packet: TrainPacket, trafficClass: number): void {
    const { index } = packet;
    if (index >= this.count) return;
    if (!Number.isNaN(this.arrivalUs[index])) {
      this.duplicates += 1;
      return;
    }
    this.arrivalUs[index] = nowUs;
    if (this.received === 0) this.firstUs = nowUs;
    this.received += 1;
    this.transitsUs.push(transitUs(nowUs, packet.sentUs));
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
    const told = this.arrivalUs.subarray(from, from + count);
    return Array.from(told, (atUs) => (Number.isNaN(atUs) ? -1 : atUs - this.firstUs));
  }
}

/** Differences of clocks that wrap at 2^32 us, brought to within half of that around 0. */
export function transitUs(nowUs: TimeUs, sentUs: number): number {
  const difference = (((nowUs % 0x1_0000_0000) - sentUs) % 0x1_0000_0000) + 0x1_0000_0000;
  const wrapped = difference % 0x1_0000_0000;
  return wrapped >= 0x8000_0000 ? wrapped - 0x1_0000_0000 : wrapped;
}
