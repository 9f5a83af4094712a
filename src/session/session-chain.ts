/**
 * The sessions of one bond, newest first: the present one, and the one before it, whose keys and ids
 * are still accepted for OVERLAP_US after a rekey.
 */
import { NEVER, type TimeUs } from "../core/time.ts";
import { OVERLAP_US, SESSION_LIFETIME_US } from "./limits.ts";

export interface Chained<Session> {
  readonly createdUs: TimeUs;
  /** Forgets everything; links that `successor` has attached stay attached by that. */
  end(successor: Session | null): void;
}

export class SessionChain<Session extends Chained<Session>> {
  readonly #lifetimeUs: number;
  #current: Session | null = null;
  #retired: { readonly session: Session; readonly untilUs: TimeUs } | null = null;

  constructor(lifetimeUs = SESSION_LIFETIME_US) {
    this.#lifetimeUs = lifetimeUs;
  }

  get current(): Session | null {
    return this.#current;
  }

  /** Puts `session` first. True when one that it does not continue had to end. */
  replace(nowUs: TimeUs, session: Session, continued: boolean): boolean {
    const old = this.#current;
    this.#endRetired();
    this.#current = session;
    if (old === null) return false;
    if (continued) this.#retired = { session: old, untilUs: nowUs + OVERLAP_US };
    else old.end(null);
    return !continued;
  }

  end(): void {
    this.#endRetired();
    this.#current?.end(null);
    this.#current = null;
  }

  timeout(nowUs: TimeUs): void {
    if (this.#retired !== null && nowUs >= this.#retired.untilUs) this.#endRetired();
  }

  /** No rekey came through: the keys of the present session must not be used any longer. */
  expired(nowUs: TimeUs): boolean {
    return this.#current !== null && nowUs >= this.#current.createdUs + this.#lifetimeUs;
  }

  deadlineUs(): TimeUs {
    const expiresUs = this.#current === null ? NEVER : this.#current.createdUs + this.#lifetimeUs;
    return Math.min(expiresUs, this.#retired?.untilUs ?? NEVER);
  }

  #endRetired(): void {
    this.#retired?.session.end(this.#current);
    this.#retired = null;
  }
}
