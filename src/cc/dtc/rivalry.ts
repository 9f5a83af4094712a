/**
 * What is done about whose queue it is (`competition.ts`): while it is a rival's, a window that grows and
 * shrinks with losses as the rival's own does; else the law of delay alone.
 */
import type { AckInfo, LossInfo } from "../controller.ts";
import { Cubic } from "../cubic.ts";
import { Competition, type DrainResult, type Finding, type QueueRound } from "./competition.ts";
import type { Window } from "./window.ts";

export class Rivalry {
  /** The window is the rival law's. */
  active = false;
  readonly #compete: boolean;
  readonly #window: Window;
  readonly #competition = new Competition();
  readonly #cubic: Cubic;

  constructor(mssBytes: number, compete: boolean, window: Window) {
    this.#compete = compete;
    this.#window = window;
    this.#cubic = new Cubic(mssBytes);
  }

  /** A drain would tell whose queue stands there. */
  get drainWanted(): boolean {
    return this.#competition.drainWanted;
  }

  /** The queue does not follow what is done about it. */
  get futile(): boolean {
    return this.#competition.futile;
  }

  onAck(ack: AckInfo): void {
    this.#cubic.onAck(ack);
    this.#window.set(this.#cubic.cwndBytes);
  }

  onLoss(loss: LossInfo): void {
    if (!this.active) return;
    this.#cubic.onLoss(loss);
    this.#window.set(this.#cubic.cwndBytes);
  }

  onRound(round: Omit<QueueRound, "competing">): void {
    this.#competition.onRound({ ...round, competing: this.active });
  }

  /** Begins to compete, or says what the drain has found; who ends competing is the caller. */
  onDrained(drain: Omit<DrainResult, "competing">): Finding {
    const found = this.#competition.onDrained({ ...drain, competing: this.active });
    if (found !== "rival" || !this.#compete || this.active) return found;
    this.active = true;
    this.#window.set(Math.max(this.#window.bytes, this.#competition.windowBefore));
    this.#cubic.resume(this.#window.bytes);
    return found;
  }

  reset(): void {
    this.active = false;
    this.#competition.reset();
  }
}
