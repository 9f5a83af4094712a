/**
 * One session as the Local Portal has it: its keys, and how far each link has come.
 *
 *   calling --CHALLENGE--> answered --CONTROL attached--> confirmed --reattach--> calling
 *
 * ATTACH is repeated until `confirmed`, because a lost RESPONSE would leave the Remote Portal unable
 * to send. Data may leave from `answered` on. Ids stay the same through every ATTACH of a session.
 */
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { type Transport, transportNumber } from "../core/transport.ts";
import { type Challenge, encodeAttach, encodeResponse, NONCE_OCTETS } from "../wire/attach.ts";
import { encodeControl } from "../wire/control.ts";
import type { Choice } from "../wire/offer.ts";
import type { Contexts } from "./contexts.ts";
import type { InitiatorEffect } from "./effects.ts";
import { linkKeys, resetToken, type SessionKeys } from "./keys.ts";
import {
  ATTACH_INTERVAL_MAX_US,
  ATTACH_INTERVAL_US,
  PING_HURRY_INTERVAL_US,
  PING_INTERVAL_US,
} from "./limits.ts";
import { seal } from "./seal.ts";

/** A link as it is configured. */
export interface LinkTransports {
  /** 0..15. */
  readonly number: number;
  /** What may carry it: at least one, each once. */
  readonly transports: readonly Transport[];
}

export interface ClientLink extends LinkTransports {
  readonly id: number;
  readonly context: number;
  /** Link id of the Remote Portal; 0 until a CHALLENGE named it. */
  peerId: number;
  phase: "calling" | "answered" | "confirmed";
  nonce: Uint8Array;
  /** By which transport the newest ATTACH was answered first; null: it was not yet. */
  answeredBy: Transport | null;
  nextUs: TimeUs;
  intervalUs: number;
  pingedUs: TimeUs;
}

export type ClientBinding =
  | { readonly tag: "handshake" }
  | { readonly tag: "link"; readonly session: ClientSession; readonly link: ClientLink };

/** What a session hands on to the one that continues its bond. */
export interface Continued {
  readonly bond: Uint8Array;
  /** The newest context of each link, by link number. */
  readonly contexts: ReadonlyMap<number, number>;
}

export interface ClientSessionOptions {
  readonly keys: SessionKeys;
  readonly choice: Choice;
  /** The bond that goes on, with its contexts by link number; null: a new one begins. */
  readonly continues: Continued | null;
  readonly links: readonly LinkTransports[];
  readonly random: RandomOctets;
  readonly contexts: Contexts<ClientBinding>;
  readonly emit: (effect: InitiatorEffect) => void;
}

export class ClientSession {
  readonly choice: Choice;
  /** Names the bond; stays the same through every rekey. */
  readonly bond: Uint8Array;
  readonly createdUs: TimeUs;
  readonly links: readonly ClientLink[];
  readonly #options: ClientSessionOptions;
  /** Of ATTACH and RESPONSE together. */
  #attachSeq = 0;

  constructor(nowUs: TimeUs, options: ClientSessionOptions) {
    this.#options = options;
    this.choice = options.choice;
    this.bond = options.continues?.bond ?? options.keys.bond;
    this.createdUs = nowUs;
    this.links = options.links.map((link) => this.#listen(nowUs, link));
    this.timeout(nowUs);
  }

  /** For the session that continues this one's bond. */
  get continued(): Continued {
    const contexts = new Map(this.links.map(({ number, context }) => [number, context]));
    return { bond: this.bond, contexts };
  }

  link(number: number): ClientLink | undefined {
    return this.links.find((candidate) => candidate.number === number);
  }

  deadlineUs(): TimeUs {
    let deadlineUs = NEVER;
    for (const link of this.links) deadlineUs = Math.min(deadlineUs, link.nextUs);
    return deadlineUs;
  }

  /** Repeats ATTACH where it is due. */
  timeout(nowUs: TimeUs): void {
    for (const link of this.links) if (nowUs >= link.nextUs) this.#attach(nowUs, link);
  }

  /**
   * What is to become of a CHALLENGE: one that belongs to the newest ATTACH is answered by the
   * transport that was first only, one that checks an address always.
   */
  judge(
    link: ClientLink,
    challenge: Challenge,
    transport: Transport,
  ): "answer" | "answeredAlready" | "unexpected" {
    if (link.peerId !== 0 && challenge.id !== link.peerId) return "unexpected";
    if (sameOctets(challenge.echo, link.nonce)) {
      const first = link.answeredBy === null || link.answeredBy === transport;
      return first ? "answer" : "answeredAlready";
    }
    const checks = link.peerId !== 0 && challenge.echo.every((octet) => octet === 0);
    return checks ? "answer" : "unexpected";
  }

  /** Answers a CHALLENGE by the transport it came by; the first one attaches the link. */
  answer(link: ClientLink, challenge: Challenge, transport: Transport): void {
    const { emit, keys } = this.#options;
    if (link.peerId === 0) {
      link.peerId = challenge.id;
      const { number, context } = link;
      const token = resetToken(keys.reset, link.peerId);
      emit({ tag: "addReset", id: link.peerId, token, context });
      const transmitId = link.peerId;
      const to = { transmitId, path: null, transport };
      emit({ tag: "attached", peer: 0, link: number, context, ...to });
    }
    if (sameOctets(challenge.echo, link.nonce)) link.answeredBy = transport;
    if (link.phase === "calling") link.phase = "answered";
    const message = encodeResponse(link.peerId, this.#attachSeq, challenge.nonce);
    this.#send(link, transport, message);
  }

  /** The Remote Portal has seen our RESPONSE. */
  confirm(link: ClientLink): void {
    if (link.phase !== "answered") return;
    link.phase = "confirmed";
    link.nextUs = NEVER;
  }

  /** Attaches a link again, under a nonce that the Remote Portal has not seen. */
  reattach(nowUs: TimeUs, link: ClientLink): void {
    link.nonce = this.#options.random(NONCE_OCTETS);
    link.phase = "calling";
    link.intervalUs = ATTACH_INTERVAL_US;
    this.#attach(nowUs, link);
  }

  /** The link has a socket of this transport now: sends an ATTACH by it that is still unanswered. */
  opened(link: ClientLink, transport: Transport): void {
    if (link.phase !== "confirmed" && link.transports.includes(transport)) {
      this.#attachBy(link, transport);
    }
  }

  ping(nowUs: TimeUs, link: ClientLink, hurried: boolean): void {
    const intervalUs = hurried ? PING_HURRY_INTERVAL_US : PING_INTERVAL_US;
    if (link.peerId === 0 || nowUs < link.pingedUs + intervalUs) return;
    link.pingedUs = nowUs;
    this.#control(link, encodeControl({ tag: "ping" }));
  }

  goodbye(): void {
    const body = encodeControl({ tag: "close", reason: 0 });
    for (const link of this.links) if (link.peerId !== 0) this.#control(link, body);
  }

  /** Forgets everything; links that `successor` has attached stay attached by that. */
  end(successor: ClientSession | null): void {
    const { emit, contexts } = this.#options;
    for (const { number, id, context, peerId } of this.links) {
      const replaced = successor?.links.some((link) => link.number === number && link.peerId !== 0);
      if (peerId !== 0) emit({ tag: "removeReset", id: peerId });
      if (peerId !== 0 && replaced !== true) {
        emit({ tag: "detached", peer: 0, link: number, context });
      }
      emit({ tag: "unlisten", id, context });
      contexts.release(context);
      contexts.freeId(id);
    }
  }

  #listen(nowUs: TimeUs, config: LinkTransports): ClientLink {
    const { contexts, keys, choice, continues, random, emit } = this.#options;
    const id = contexts.takeId();
    const context = contexts.takeNumber();
    const link: ClientLink = {
      ...config,
      id,
      context,
      peerId: 0,
      phase: "calling",
      nonce: random(NONCE_OCTETS),
      answeredBy: null,
      nextUs: nowUs,
      intervalUs: ATTACH_INTERVAL_US,
      pingedUs: Number.NEGATIVE_INFINITY,
    };
    contexts.bind(context, { tag: "link", session: this, link });
    const form = { suite: choice.suite, dataTag: choice.dataTag, linkNumber: config.number };
    emit({
      tag: "listenLink",
      id,
      context,
      peer: 0,
      link: config.number,
      receive: linkKeys(keys.down, form),
      transmit: linkKeys(keys.up, form),
      continues: continues?.contexts.get(config.number) ?? 0,
    });
    return link;
  }

  #attach(nowUs: TimeUs, link: ClientLink): void {
    link.answeredBy = null;
    link.nextUs = nowUs + link.intervalUs;
    link.intervalUs = Math.min(2 * link.intervalUs, ATTACH_INTERVAL_MAX_US);
    for (const transport of link.transports) this.#attachBy(link, transport);
  }

  /** Under a sequence number of its own: a copy would be refused as played again. */
  #attachBy(link: ClientLink, transport: Transport): void {
    const { number, id, nonce } = link;
    const fields = { link: number, id, transport: transportNumber(transport), nonce };
    this.#send(link, transport, encodeAttach(this.choice.attachId, this.#attachSeq, fields));
  }

  /** Seals under the next attach sequence number, which `message` already carries. */
  #send(link: ClientLink, transport: Transport, message: Uint8Array): void {
    const octets = seal(this.#options.keys.up.attach, this.#attachSeq, message);
    this.#attachSeq += 1;
    this.#options.emit({ tag: "send", link: link.number, transport, octets });
  }

  #control(link: ClientLink, body: Uint8Array): void {
    const { number, context } = link;
    this.#options.emit({ tag: "sendControl", peer: 0, link: number, context, body });
  }
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((octet, index) => octet === b[index]);
}
