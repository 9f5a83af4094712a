/** How many segments a TCP model sends at once, as Linux sizes super-packets, and when, if it is paced. */
import { MS, type TimeUs } from "../../src/core/time.ts";
import type { TcpLaw } from "./tcp-law.ts";
import type { TcpRtt } from "./tcp-rtt.ts";

/** A burst carries about this much of the present rate. */
const BURST_US = 1 * MS;
const BURST_MIN = 2;
const BURST_MAX = 44;

export class TcpBursts {
  readonly #law: TcpLaw;
  readonly #timing: TcpRtt;
  #nextUs: TimeUs = 0;

  constructor(law: TcpLaw, timing: TcpRtt) {
    this.#law = law;
    this.#timing = timing;
  }

  get size(): number {
    return Math.min(Math.max(Math.floor(this.#rate() * BURST_US), BURST_MIN), BURST_MAX);
  }

  /** When the next burst may leave: a paced law waits. */
  readyUs(nowUs: TimeUs): TimeUs {
    const paced = this.#law.pacingRate !== Number.POSITIVE_INFINITY;
    return paced && this.#nextUs > nowUs ? Math.ceil(this.#nextUs) : nowUs;
  }

  noteSent(nowUs: TimeUs): void {
    this.#nextUs = Math.max(this.#nextUs, nowUs) + 1 / this.#rate();
  }

  /** Segments per microsecond. */
  #rate(): number {
    const { pacingRate, cwnd, slowStart } = this.#law;
    if (pacingRate !== Number.POSITIVE_INFINITY) return pacingRate;
    return ((slowStart ? 2 : 1.2) * cwnd) / Math.max(this.#timing.srttUs, 1);
  }
}
