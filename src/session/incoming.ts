/**
 * Handshakes as the Remote Portal answers them: RESP, the same RESP for a copy, RETRY, or nothing.
 * What is kept is bounded by `PendingTable`, and nothing is kept that has not opened.
 */
import type { Path } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { decodeInit, encodeRetry, type Init } from "../wire/handshake.ts";
import type { InnerAddress } from "../wire/offer.ts";
import { Admission, type Budget } from "./admission.ts";
import { answerInit, type Policy } from "./answer.ts";
import type { Contexts } from "./contexts.ts";
import type { ResponderEffect, SessionCounters } from "./effects.ts";
import type { ClientKeys } from "./keys.ts";
import { type Pending, PendingTable, replyOf } from "./pending.ts";
import type { PortalBinding } from "./portal-session.ts";
import { seal } from "./seal.ts";

export interface IncomingOptions {
  readonly policy: Policy;
  readonly random: RandomOctets;
  readonly contexts: Contexts<PortalBinding>;
  readonly counters: SessionCounters;
  readonly emit: (effect: ResponderEffect) => void;
}

/** Who sent the INIT: known by the key that its tag was verified with. */
export interface Caller {
  /** In the configuration. */
  readonly index: number;
  readonly clientId: Uint8Array;
  readonly keys: ClientKeys;
  readonly addresses: readonly InnerAddress[];
  readonly budget: Budget;
  /** The bond of its present tunnel session; null: none. */
  readonly bond: Uint8Array | null;
}

export class IncomingHandshakes {
  readonly #options: IncomingOptions;
  readonly #admission: Admission;
  readonly #pending = new PendingTable();

  constructor(options: IncomingOptions) {
    this.#options = options;
    this.#admission = new Admission(options.random, options.counters);
  }

  init(nowUs: TimeUs, caller: Caller, octets: Uint8Array, path: Path): void {
    const { counters } = this.#options;
    const init = decodeInit(octets);
    if (typeof init === "string") {
      counters[init] += 1;
      return;
    }
    const key = `${caller.index} ${Buffer.from(init.noise).toString("base64")}`;
    const pending = this.#pending.get(key) ?? this.#answer(nowUs, caller, key, init, path);
    if (pending === null) return;
    const reply = replyOf(pending);
    if (reply === null) counters.handshakeLimited += 1;
    else this.#send(path, reply);
  }

  /** Gives up a handshake whose promise no longer holds. */
  cancel(pending: Pending): void {
    this.#pending.delete(pending);
    this.#forget(pending);
  }

  timeout(nowUs: TimeUs): void {
    for (const pending of this.#pending.expire(nowUs)) this.#forget(pending);
  }

  end(): void {
    this.timeout(NEVER);
  }

  deadlineUs(): TimeUs {
    return this.#pending.deadlineUs();
  }

  #answer(nowUs: TimeUs, caller: Caller, key: string, init: Init, path: Path): Pending | null {
    const { contexts, counters, policy, random } = this.#options;
    const { cookie } = init;
    const verdict = this.#admission.judge(nowUs, { ...caller, path, cookie });
    if (verdict === "refuse") return null;
    if (verdict !== "admit") {
      this.#send(path, seal(caller.keys.reply, 0, encodeRetry(init.replyId, verdict)));
      return null;
    }
    const takeId = () => contexts.takeId();
    const answer = answerInit(init, { ...caller, policy, random, takeId });
    if (answer === null) {
      counters.badHandshake += 1;
      return null;
    }
    const context = contexts.takeNumber();
    const entry = { key, client: caller.index, answer, context };
    const { pending, evicted } = this.#pending.add(nowUs, entry);
    for (const old of evicted) this.#forget(old);
    this.#listen(pending);
    return pending;
  }

  #listen(pending: Pending): void {
    const { contexts, emit } = this.#options;
    const { context } = pending;
    const { draft } = pending.answer;
    if (draft === null) return;
    contexts.bind(context, { tag: "pending", pending });
    const keys = { suite: 0, dataTag: 16, linkNumber: 0, attach: draft.keys.up.attach };
    emit({ tag: "listen", id: draft.choice.attachId, context, keys });
  }

  /** One that was confirmed leaves its context to the session. */
  #forget(pending: Pending): void {
    const { contexts, emit } = this.#options;
    const { context, confirmed } = pending;
    const { draft } = pending.answer;
    if (confirmed || draft === null) return;
    emit({ tag: "unlisten", id: draft.choice.attachId, context });
    contexts.release(context);
    contexts.freeId(draft.choice.attachId);
  }

  #send(path: Path, octets: Uint8Array): void {
    this.#options.emit({ tag: "send", path: path.slice(), octets });
  }
}
