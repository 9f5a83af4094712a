/**
 * A handshake that the Local Portal has begun: the same INIT on every link, repeated until one RESP
 * opens. After INIT_LIFETIME_US a new ephemeral key takes over; cookies, counts and the start of the
 * wait stay.
 */
import type { RandomOctets } from "../core/random.ts";
import type { TimeUs } from "../core/time.ts";
import { COOKIE_OCTETS, encodeInit, initIdentity } from "../wire/handshake.ts";
import { type Choice, decodeChoice, encodeOffer, type Offer } from "../wire/offer.ts";
import type { ClientBinding } from "./client-session.ts";
import type { Contexts } from "./contexts.ts";
import type { InitiatorEffect, Unanswered } from "./effects.ts";
import { type ClientKeys, prologue } from "./keys.ts";
import { INIT_INTERVAL_MAX_US, INIT_INTERVAL_US, INIT_JITTER, INIT_LIFETIME_US } from "./limits.ts";
import { NoiseInitiator, type NoiseSecrets } from "./noise.ts";
import { seal } from "./seal.ts";

const NO_COOKIE = new Uint8Array(COOKIE_OCTETS);
const KEY_OCTETS = 32;

export interface OutgoingOptions {
  readonly clientId: Uint8Array;
  readonly keys: ClientKeys;
  readonly offer: Offer;
  readonly links: readonly number[];
  readonly random: RandomOctets;
  readonly contexts: Contexts<ClientBinding>;
  readonly emit: (effect: InitiatorEffect) => void;
}

/** One ephemeral key. */
interface Attempt {
  readonly noise: NoiseInitiator;
  /** The first Noise message. */
  readonly sealed: Uint8Array;
  readonly replyId: number;
  readonly context: number;
  readonly expiresUs: TimeUs;
}

export class OutgoingHandshake {
  readonly #options: OutgoingOptions;
  readonly #identity: Uint8Array;
  readonly #cookies = new Map<number, Uint8Array>();
  /** Links that were sent an INIT out of turn because of a RETRY: one each between two repeats. */
  readonly #hurried = new Set<number>();
  readonly #sent = new Map<number, number>();
  readonly #sinceUs: TimeUs;
  #attempt: Attempt;
  #intervalUs = INIT_INTERVAL_US;
  #nextUs: TimeUs;

  constructor(nowUs: TimeUs, options: OutgoingOptions) {
    this.#options = options;
    this.#identity = initIdentity(options.clientId);
    this.#sinceUs = nowUs;
    this.#nextUs = nowUs;
    this.#attempt = this.#begin(nowUs);
    this.timeout(nowUs);
  }

  get unanswered(): Unanswered {
    return { sinceUs: this.#sinceUs, sent: this.#sent };
  }

  deadlineUs(): TimeUs {
    return this.#nextUs;
  }

  timeout(nowUs: TimeUs): void {
    if (nowUs < this.#nextUs) return;
    if (nowUs >= this.#attempt.expiresUs) {
      this.end();
      this.#attempt = this.#begin(nowUs);
    }
    this.#hurried.clear();
    for (const link of this.#options.links) this.#send(link);
    const jitter = ((this.#options.random(1)[0] as number) / 256) * INIT_JITTER;
    this.#nextUs = nowUs + Math.round(this.#intervalUs * (1 + jitter));
    this.#intervalUs = Math.min(2 * this.#intervalUs, INIT_INTERVAL_MAX_US);
  }

  /** The Remote Portal wants proof that we receive on this link. */
  retry(link: number, cookie: Uint8Array): void {
    this.#cookies.set(link, cookie);
    if (this.#hurried.has(link)) return;
    this.#hurried.add(link);
    this.#send(link);
  }

  /** @returns null when it does not open; the handshake then goes on */
  resp(noise: Uint8Array): { choice: Choice; secrets: NoiseSecrets } | null {
    const read = this.#attempt.noise.read(noise);
    return read === null ? null : { choice: decodeChoice(read.payload), secrets: read.secrets };
  }

  /** Stops listening for an answer. */
  end(): void {
    const { replyId, context } = this.#attempt;
    this.#options.contexts.release(context);
    this.#options.contexts.freeId(replyId);
    this.#options.emit({ tag: "unlisten", id: replyId, context });
  }

  #begin(nowUs: TimeUs): Attempt {
    const { contexts, keys, offer, random, emit } = this.#options;
    const noise = new NoiseInitiator({
      psk: keys.noise,
      prologue: prologue(this.#identity),
      privateKey: random(KEY_OCTETS),
    });
    const sealed = noise.write(encodeOffer(offer));
    const replyId = contexts.takeId();
    const context = contexts.takeNumber();
    contexts.bind(context, { tag: "handshake" });
    const form = { suite: 0, dataTag: 16, linkNumber: 0 };
    emit({ tag: "listen", id: replyId, context, keys: { ...form, handshake: keys.reply } });
    return { noise, sealed, replyId, context, expiresUs: nowUs + INIT_LIFETIME_US };
  }

  #send(link: number): void {
    const message = encodeInit({
      replyId: this.#attempt.replyId,
      identity: this.#identity,
      noise: this.#attempt.sealed,
      cookie: this.#cookies.get(link) ?? NO_COOKIE,
    });
    this.#sent.set(link, (this.#sent.get(link) ?? 0) + 1);
    this.#options.emit({ tag: "send", link, octets: seal(this.#options.keys.init, 0, message) });
  }
}
