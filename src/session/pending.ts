/**
 * Handshakes that were answered lately, by client and ephemeral key: a copy of an INIT gets the same
 * RESP again and costs nothing. Bounded in all and per client; the oldest gives way.
 */
import { NEVER, type TimeUs } from "../core/time.ts";
import type { Answer } from "./answer.ts";
import {
  PENDING_LIFETIME_US,
  PENDING_MAX,
  PENDING_PER_CLIENT_MAX,
  REPLIES_PER_PENDING_MAX,
} from "./limits.ts";

export interface Pending {
  readonly key: string;
  /** Index in the configuration. */
  readonly client: number;
  readonly answer: Answer;
  /** Context of its ATTACH messages; unused after a refusal. */
  readonly context: number;
  readonly expiresUs: TimeUs;
  replies: number;
  /** An ATTACH has come: the session lives on its own, only the reply is kept. */
  confirmed: boolean;
}

export class PendingTable {
  /** Oldest first: all live equally long. */
  readonly #entries = new Map<string, Pending>();

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Pending | undefined {
    return this.#entries.get(key);
  }

  /** Adds one and returns it with those that had to give way. */
  add(
    nowUs: TimeUs,
    entry: Pick<Pending, "key" | "client" | "answer" | "context">,
  ): { pending: Pending; evicted: Pending[] } {
    const evicted: Pending[] = [];
    const ofClient = [...this.#entries.values()].filter(({ client }) => client === entry.client);
    const oldest = ofClient.length < PENDING_PER_CLIENT_MAX ? this.#eldest() : ofClient[0];
    if (oldest !== undefined) {
      this.#entries.delete(oldest.key);
      evicted.push(oldest);
    }
    const expiresUs = nowUs + PENDING_LIFETIME_US;
    const pending = { ...entry, expiresUs, replies: 0, confirmed: false };
    this.#entries.set(entry.key, pending);
    return { pending, evicted };
  }

  delete(pending: Pending): void {
    this.#entries.delete(pending.key);
  }

  /** Takes those out whose time is over. */
  expire(nowUs: TimeUs): Pending[] {
    const expired: Pending[] = [];
    for (const pending of this.#entries.values()) {
      if (nowUs < pending.expiresUs) break;
      this.#entries.delete(pending.key);
      expired.push(pending);
    }
    return expired;
  }

  deadlineUs(): TimeUs {
    for (const pending of this.#entries.values()) return pending.expiresUs;
    return NEVER;
  }

  /** The one that gives way when the whole table is full. */
  #eldest(): Pending | undefined {
    if (this.#entries.size < PENDING_MAX) return undefined;
    return this.#entries.values().next().value;
  }
}

/** The reply once more, or null when this INIT has been played often enough. */
export function replyOf(pending: Pending): Uint8Array | null {
  if (pending.replies >= REPLIES_PER_PENDING_MAX) return null;
  pending.replies += 1;
  return pending.answer.reply;
}
