/**
 * CoDel (RFC 8289) at an emulated bottleneck. The queue is a FIFO whose departures are known when a
 * packet enters, so the verdict of the dequeue is given at the enqueue, in the same order.
 */
import { MS, type TimeUs } from "../../src/core/time.ts";

const TARGET_US = 5 * MS;
const INTERVAL_US = 100 * MS;

export class Codel {
  #firstAboveUs: TimeUs = 0;
  #dropNextUs: TimeUs = 0;
  #count = 0;
  #lastCount = 0;
  #dropping = false;

  /** A packet leaves the queue at `nowUs` after `sojournUs`; true: drop or mark it. */
  hits(nowUs: TimeUs, sojournUs: number, packetUs: number): boolean {
    const above = this.#above(nowUs, sojournUs, packetUs);
    if (this.#dropping) {
      if (!above) {
        this.#dropping = false;
        return false;
      }
      if (nowUs < this.#dropNextUs) return false;
      this.#count += 1;
      this.#dropNextUs += INTERVAL_US / Math.sqrt(this.#count);
      return true;
    }
    if (!above) return false;
    this.#dropping = true;
    const recent = nowUs - this.#dropNextUs < 16 * INTERVAL_US;
    const delta = this.#count - this.#lastCount;
    this.#count = recent && delta > 1 ? delta : 1;
    this.#lastCount = this.#count;
    this.#dropNextUs = nowUs + INTERVAL_US / Math.sqrt(this.#count);
    return true;
  }

  #above(nowUs: TimeUs, sojournUs: number, packetUs: number): boolean {
    if (sojournUs < TARGET_US || sojournUs < packetUs) {
      this.#firstAboveUs = 0;
      return false;
    }
    if (this.#firstAboveUs === 0) {
      this.#firstAboveUs = nowUs + INTERVAL_US;
      return false;
    }
    return nowUs >= this.#firstAboveUs;
  }
}
