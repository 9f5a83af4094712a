/**
 * One round of probes: some sizes, the longest first, sent several times over, and what the peer says is the
 * longest that came. Longest first, so that what a short queue drops behind them costs nothing, and so that
 * the first answer is the last word unless something was lost. Pure.
 */
import { NEVER, type TimeUs } from "../core/time.ts";

export interface RoundPlan {
  /** Names the round in probes and answers. */
  readonly search: number;
  /** Octets of IP packets, falling. */
  readonly sizes: readonly number[];
  /** How many times they are all sent, and how long after each other. */
  readonly trains: number;
  readonly spacingUs: number;
  /** How long after the last probe answers are waited for. */
  readonly waitUs: number;
}

export class Round {
  readonly search: number;
  readonly sizes: readonly number[];
  /** The longest that came; 0: none, as far as is known. */
  found = 0;
  readonly #plan: RoundPlan;
  /** Answers that named `found`: as many as trains in which nothing longer came. */
  #agreed = 0;
  #train = 0;
  #next = 0;
  #nextUs: TimeUs;
  #endUs: TimeUs = NEVER;

  constructor(nowUs: TimeUs, plan: RoundPlan) {
    this.search = plan.search;
    this.sizes = plan.sizes;
    this.#plan = plan;
    this.#nextUs = nowUs;
  }

  /** The longest was among them. */
  get complete(): boolean {
    return this.found > 0 && this.found >= (this.sizes[0] as number);
  }

  /** Nothing more is to be learned. */
  over(nowUs: TimeUs): boolean {
    return this.complete || this.#agreed >= this.#plan.trains || nowUs >= this.#endUs;
  }

  /** Size of the probe to send now; 0: none. */
  poll(nowUs: TimeUs): number {
    const { sizes, trains, spacingUs, waitUs } = this.#plan;
    if (nowUs < this.#nextUs) return 0;
    const size = sizes[this.#next] as number;
    this.#next += 1;
    // What is shorter than what came is not worth sending again.
    if (this.#next < sizes.length && size > this.found) return size;
    this.#next = 0;
    this.#train += 1;
    const more = this.#train < trains;
    this.#nextUs = more ? nowUs + spacingUs : NEVER;
    if (!more) this.#endUs = nowUs + waitUs;
    return size;
  }

  /** The peer has had a probe of `size` octets and none that was longer. */
  answered(size: number): void {
    if (size > this.found) this.#agreed = 0;
    if (size >= this.found) this.#agreed += 1;
    this.found = Math.max(this.found, size);
  }

  deadlineUs(): TimeUs {
    return Math.min(this.#nextUs, this.#endUs);
  }
}
