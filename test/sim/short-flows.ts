/** Many short TCP flows: Poisson arrivals, sizes spread evenly over their logarithm, completion times. */
import type { SeededRandom } from "../../src/core/random.ts";
import { NEVER, SECOND, type TimeUs } from "../../src/core/time.ts";
import type { EventQueue, Process } from "./events.ts";
import { Histogram } from "./record.ts";

export interface ShortFlowsSpec {
  /** Flows that begin each second, in the mean. */
  readonly perSecond: number;
  /** Octets; 10 to 500 KB by default. */
  readonly bytesMin?: number;
  readonly bytesMax?: number;
}

export class ShortFlows implements Process {
  begun = 0;
  /** From the first SYN to the last octet received, of flows that ended since the mark. */
  readonly completion = new Histogram();
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #random: SeededRandom;
  readonly #spec: ShortFlowsSpec;
  readonly #begin: (bytes: number, onDone: (nowUs: TimeUs) => void) => void;

  /** @param begin - starts a flow of so many octets */
  constructor(
    events: EventQueue,
    random: SeededRandom,
    spec: ShortFlowsSpec,
    begin: (bytes: number, onDone: (nowUs: TimeUs) => void) => void,
  ) {
    this.#events = events;
    this.#id = events.register(this);
    this.#random = random;
    this.#spec = spec;
    this.#begin = begin;
  }

  start(nowUs: TimeUs): void {
    this.#events.set(this.#id, nowUs + this.#gapUs());
  }

  stop(): void {
    this.#events.set(this.#id, NEVER);
  }

  mark(): void {
    this.completion.reset();
  }

  wake(nowUs: TimeUs): void {
    const { bytesMin = 10_000, bytesMax = 500_000 } = this.#spec;
    const bytes = bytesMin * (bytesMax / bytesMin) ** this.#random.next();
    this.begun += 1;
    this.#begin(Math.round(bytes), (doneUs) => this.completion.add(doneUs - nowUs));
    this.start(nowUs);
  }

  #gapUs(): number {
    const uniform = 1 - this.#random.next();
    return Math.ceil((-Math.log(uniform) * SECOND) / this.#spec.perSecond);
  }
}
