/**
 * A handshake that the Local Portal has begun: the same INIT on every link by every transport,
 * repeated until one RESP opens; a cookie is used where it came from. After INIT_LIFETIME_US a new ephemeral key takes over; cookies, counts and the start of the
 * wait stay.
 */
import type { RandomOctets } from "../core/random.ts";
import type { TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import { COOKIE_OCTETS, encodeInit, initIdentity } from "../wire/handshake.ts";
import { type Choice, decodeChoice, encodeOffer, type Offer } from "../wire/offer.ts";
import type { ClientBinding, LinkTransports } from "./client-session.ts";
import type { Contexts } from "./contexts.ts";
import type { InitiatorEffect, Unanswered } from "./effects.ts";
import { type ClientKeys, prologue } from "./keys.ts";
import { INIT_JITTER, INIT_LIFETIME_US, INIT_PAUSES } from "./limits.ts";
import { NoiseInitiator, type NoiseSecrets } from "./noise.ts";
import { seal } from "./seal.ts";

const NO_COOKIE = new Uint8Array(COOKIE_OCTETS);
const KEY_OCTETS = 32;

export interface OutgoingOptions {
  readonly clientId: Uint8Array;
  readonly keys: ClientKeys;
  readonly offer: Offer;
  readonly links: readonly LinkTransports[];
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
  /** By link and transport. */
  readonly #cookies = new Map<string, Uint8Array>();
  /** Where an INIT was sent out of turn because of a RETRY: one each between two repeats. */
  readonly #hurried = new Set<string>();
  readonly #sent = new Map<number, number>();
  readonly #sinceUs: TimeUs;
  #attempt: Attempt;
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
    for (const link of this.#options.links) this.#sendAll(link);
    const jitter = ((this.#options.random(1)[0] as number) / 256) * INIT_JITTER;
    this.#nextUs = nowUs + Math.round(pauseUs(nowUs - this.#sinceUs) * (1 + jitter));
  }

  /** The Remote Portal wants proof that we receive on this link by this transport. */
  retry(link: number, transport: Transport, cookie: Uint8Array): void {
    const way = wayOf(link, transport);
    this.#cookies.set(way, cookie);
    if (this.#hurried.has(way)) return;
    this.#hurried.add(way);
    this.#send(link, transport, cookie);
  }

  /** The link has a socket of this transport now: sends the INIT by it that is still unanswered. */
  opened(link: number, transport: Transport): void {
    this.#send(link, transport, this.#cookies.get(wayOf(link, transport)) ?? NO_COOKIE);
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

  /** One INIT for all transports, until a cookie makes one unlike the others. */
  #sendAll({ number, transports }: LinkTransports): void {
    const cookies = transports.map((transport) => this.#cookies.get(wayOf(number, transport)));
    if (cookies.every((cookie) => cookie === undefined)) this.#send(number, null, NO_COOKIE);
    else {
      transports.forEach((transport, index) => {
        this.#send(number, transport, cookies[index] ?? NO_COOKIE);
      });
    }
  }

  #send(link: number, transport: Transport | null, cookie: Uint8Array): void {
    const message = encodeInit({
      replyId: this.#attempt.replyId,
      identity: this.#identity,
      noise: this.#attempt.sealed,
      cookie,
    });
    this.#sent.set(link, (this.#sent.get(link) ?? 0) + 1);
    const octets = seal(this.#options.keys.init, 0, message);
    this.#options.emit({ tag: "send", link, transport, octets });
  }
}

function pauseUs(sinceUs: number): number {
  return INIT_PAUSES.findLast(({ fromUs }) => sinceUs >= fromUs)?.pauseUs as number;
}

function wayOf(link: number, transport: Transport): string {
  return `${link} ${transport}`;
}
