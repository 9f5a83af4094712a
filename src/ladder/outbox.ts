/** HELLOs that are to leave now, in order. What they say is filled in when they do. */
import type { Rung } from "./rung.ts";

/** Three transports, and the longest train of a comparison on two of them. What does not fit is not sent. */
const JOBS_MAX = 64;

export interface HelloJob {
  readonly rung: Rung;
  /** As long as a full DATA message. */
  readonly full: boolean;
  /** The peer is to answer at once. */
  readonly ask: boolean;
}

export class Outbox {
  readonly #jobs: HelloJob[] = [];

  send(rung: Rung, full: boolean, ask: boolean): void {
    if (this.#jobs.length < JOBS_MAX) this.#jobs.push({ rung, full, ask });
  }

  take(): HelloJob | undefined {
    return this.#jobs.shift();
  }
}
