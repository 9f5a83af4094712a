/** Rates of a link from its totals, a second at a time. For status only. */
import { SECOND, type TimeUs } from "../core/time.ts";
import type { LinkCounters } from "../link/counters.ts";

/** Weight of the newest second in the smoothed loss. */
const LOSS_WEIGHT = 0.3;

export class RateMeter {
  /** Octets of inner packets a second. */
  out = 0;
  in = 0;
  /** Share of packets sent that were declared lost, 0..1, smoothed over some seconds. */
  loss = 0;
  #atUs: TimeUs = Number.NEGATIVE_INFINITY;
  #bytesOut = 0;
  #bytesIn = 0;
  #packetsOut = 0;
  #packetsLost = 0;

  sample(nowUs: TimeUs, counters: LinkCounters, packetsLost: number): void {
    const seconds = (nowUs - this.#atUs) / SECOND;
    if (Number.isFinite(seconds) && seconds > 0) {
      this.out = (counters.bytesOut - this.#bytesOut) / seconds;
      this.in = (counters.bytesIn - this.#bytesIn) / seconds;
      const sent = counters.packetsOut - this.#packetsOut;
      const lost = packetsLost - this.#packetsLost;
      const loss = sent > 0 ? Math.min(lost / sent, 1) : Math.min(lost, 1);
      this.loss += LOSS_WEIGHT * (loss - this.loss);
    }
    this.#atUs = nowUs;
    this.#bytesOut = counters.bytesOut;
    this.#bytesIn = counters.bytesIn;
    this.#packetsOut = counters.packetsOut;
    this.#packetsLost = packetsLost;
  }

  reset(): void {
    this.out = 0;
    this.in = 0;
    this.loss = 0;
    this.#atUs = Number.NEGATIVE_INFINITY;
  }
}
