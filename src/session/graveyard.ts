/**
 * The tombstones of an earlier run: listens for clients that still talk to it, answers them with
 * RESET, and says when the record for the next run is to be written.
 */
import type { Path } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { encodeReset } from "../wire/reset.ts";
import { TokenBucket } from "./bucket.ts";
import type { Contexts } from "./contexts.ts";
import type { ResponderEffect, SessionCounters } from "./effects.ts";
import {
  PERSIST_INTERVAL_US,
  RESETS_BURST,
  RESETS_PER_SECOND,
  SESSION_LIFETIME_US,
} from "./limits.ts";
import type { PortalBinding } from "./portal-session.ts";
import { decodeTombstones, encodeTombstones, type Tombstone } from "./tombstones.ts";

export interface GraveyardOptions {
  readonly record: Uint8Array | null;
  readonly random: RandomOctets;
  readonly contexts: Contexts<PortalBinding>;
  readonly counters: SessionCounters;
  readonly emit: (effect: ResponderEffect) => void;
}

export class Graveyard {
  readonly #options: GraveyardOptions;
  readonly #resets = new TokenBucket(RESETS_PER_SECOND, RESETS_BURST);
  readonly #graves = new Map<Tombstone, number>();
  #expiresUs: TimeUs = NEVER;
  #changed = false;
  /** The next record may be written from then on. */
  #writeUs: TimeUs = 0;

  constructor(options: GraveyardOptions) {
    this.#options = options;
  }

  /** Listens for what the record names. */
  open(nowUs: TimeUs): void {
    const { record, contexts, emit } = this.#options;
    if (record === null) return;
    const tombstones = decodeTombstones(record);
    if (tombstones === null) {
      const text = "the record of the last run is damaged: its clients find out by silence";
      emit({ tag: "note", level: "warning", text });
      return;
    }
    this.#expiresUs = nowUs + SESSION_LIFETIME_US;
    for (const tombstone of tombstones) {
      if (!contexts.reserveId(tombstone.linkId)) continue;
      const context = contexts.takeNumber();
      contexts.bind(context, { tag: "tombstone", tombstone });
      this.#graves.set(tombstone, context);
      const keys = { suite: 0, dataTag: 16, linkNumber: 0, control: tombstone.control };
      emit({ tag: "listen", id: tombstone.linkId, context, keys });
    }
  }

  /** A client talks to a session that is gone. */
  answer(nowUs: TimeUs, tombstone: Tombstone, path: Path): void {
    const { random, counters, emit } = this.#options;
    if (!this.#resets.take(nowUs)) {
      counters.resetLimited += 1;
      return;
    }
    counters.resetSent += 1;
    const seq = new DataView(Uint8Array.from(random(4)).buffer).getUint32(0);
    const octets = encodeReset(tombstone.linkId, seq, tombstone.token);
    emit({ tag: "send", path: path.slice(), octets });
  }

  /** The client has a session again. */
  bury(clientId: Uint8Array): void {
    for (const [tombstone, context] of this.#graves) {
      if (Buffer.compare(tombstone.clientId, clientId) === 0) this.#close(tombstone, context);
    }
  }

  timeout(nowUs: TimeUs): void {
    if (nowUs < this.#expiresUs) return;
    this.#expiresUs = NEVER;
    for (const [tombstone, context] of this.#graves) this.#close(tombstone, context);
  }

  /** The links have changed: a record is due. */
  changed(): void {
    this.#changed = true;
  }

  /** True when a record is to be written now; the next one not before PERSIST_INTERVAL_US. */
  takeDue(nowUs: TimeUs): boolean {
    if (!this.#changed || nowUs < this.#writeUs) return false;
    this.#changed = false;
    this.#writeUs = nowUs + PERSIST_INTERVAL_US;
    return true;
  }

  /** @param living - links of the present sessions */
  record(living: readonly Tombstone[]): Uint8Array {
    return encodeTombstones([...living, ...this.#graves.keys()]);
  }

  deadlineUs(): TimeUs {
    return Math.min(this.#expiresUs, this.#changed ? this.#writeUs : NEVER);
  }

  #close(tombstone: Tombstone, context: number): void {
    const { contexts, emit } = this.#options;
    this.#graves.delete(tombstone);
    contexts.release(context);
    contexts.freeId(tombstone.linkId);
    emit({ tag: "unlisten", id: tombstone.linkId, context });
    this.changed();
  }
}
