/** What the path delivers: octets per microsecond, from the delivered curve, once a round. */
import type { DeliveredCurve } from "./delivered-curve.ts";

/** The rate of a round is taken over at least this. */
const SPAN_MIN_US = 10_000;
/** How fast a maximum is forgotten, a round. */
const DECAY = 0.95;

export class PathRate {
  /** The fastest of the last rounds, and the last; 0 before the first. */
  best = 0;
  last = 0;

  onRound(curve: DeliveredCurve, srttUs: number): void {
    const spanUs = Math.max(srttUs, SPAN_MIN_US);
    const delivered = curve.deliveredWithin(spanUs);
    if (delivered < 0) return;
    this.last = delivered / spanUs;
    this.best = Math.max(this.last, this.best * DECAY);
  }

  /** How long the path takes for so many octets; 0 while unknown. */
  timeOf(bytes: number): number {
    return this.best > 0 ? bytes / this.best : 0;
  }

  reset(): void {
    this.best = 0;
    this.last = 0;
  }
}
