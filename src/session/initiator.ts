/**
 * The Local Portal's side of the session: finds the Remote Portal over all links at once, attaches
 * each link, rekeys, and begins again when the session is lost. No socket, no clock: see
 * `effects.ts` for what goes in and comes out.
 *
 *   outgoing --RESP--> next --first CHALLENGE--> current --rekey--> retired, for OVERLAP_US
 */
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import { decodeChallenge } from "../wire/attach.ts";
import { decodeControl } from "../wire/control.ts";
import { decodeResp, decodeRetry } from "../wire/handshake.ts";
import {
  BOND_ID_OCTETS,
  type Choice,
  PURPOSE,
  type Purpose,
  RESULT,
  TRANSPORT_BIT,
} from "../wire/offer.ts";
import { TYPE } from "../wire/preamble.ts";
import {
  type ClientBinding,
  type ClientLink,
  ClientSession,
  type LinkTransports,
} from "./client-session.ts";
import { Contexts } from "./contexts.ts";
import {
  type InitiatorEffect,
  type LinkMessage,
  type LostReason,
  refusedReason,
  type SessionCounters,
  sessionCounters,
  type Unanswered,
} from "./effects.ts";
import { type ClientKeys, clientKeys, sessionKeys } from "./keys.ts";
import {
  ATTACH_PATIENCE_US,
  CLOSED_RETRY_US,
  PROBE_LIFETIME_US,
  REFUSED_RETRY_US,
  REKEY_AFTER_US,
  SESSION_LIFETIME_US,
} from "./limits.ts";
import type { NoiseSecrets } from "./noise.ts";
import { OutgoingHandshake } from "./outgoing.ts";
import { SessionChain } from "./session-chain.ts";

export interface InitiatorOptions {
  /** 8 octets. */
  readonly clientId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
  /** SUITE of DATA. */
  readonly suite: number;
  /** 8, 10, 12 or 16; 16 with aes128Gcm. */
  readonly dataTag: number;
  /** Numbers 0..15, each once, and what may carry each. */
  readonly links: readonly LinkTransports[];
  /** Default tunnel. A probing session leaves the client's tunnel alone, and is not begun again once lost. */
  readonly purpose?: Purpose;
  /** Default REKEY_AFTER_US, which is the most. */
  readonly rekeyAfterUs?: number;
  readonly random: RandomOctets;
}

const NO_BOND = new Uint8Array(BOND_ID_OCTETS);

export class Initiator {
  readonly counters: SessionCounters = sessionCounters();
  readonly #options: InitiatorOptions;
  readonly #keys: ClientKeys;
  readonly #contexts: Contexts<ClientBinding>;
  readonly #effects: InitiatorEffect[] = [];
  #outgoing: OutgoingHandshake | null = null;
  /** Has keys, but no link has been challenged yet: data still uses `#current`. */
  #next: ClientSession | null = null;
  readonly #purpose: Purpose;
  readonly #sessions: SessionChain<ClientSession>;
  /** When the next handshake begins by itself. */
  #beginUs: TimeUs = NEVER;
  #closed = false;

  constructor(options: InitiatorOptions) {
    this.#options = options;
    this.#keys = clientKeys(options.key);
    this.#contexts = new Contexts(options.random);
    this.#purpose = options.purpose ?? "tunnel";
    this.#sessions = new SessionChain(this.#probes ? PROBE_LIFETIME_US : SESSION_LIFETIME_US);
  }

  /** Begins the first handshake. */
  start(nowUs: TimeUs): void {
    this.renew(nowUs);
  }

  /** Takes RESP, RETRY, CHALLENGE, CONTROL and RESET; ignores other types. */
  handle(nowUs: TimeUs, message: LinkMessage): void {
    const binding = this.#contexts.get(message.context);
    if (binding === undefined) {
      this.counters.unknownContext += 1;
      return;
    }
    if (binding.tag === "handshake") {
      this.#onHandshake(nowUs, message);
      return;
    }
    const { session, link } = binding;
    if (message.type === TYPE.challenge) this.#onChallenge(nowUs, session, link, message);
    if (message.type === TYPE.control) this.#onControl(nowUs, session, link, message.octets);
    if (message.type === TYPE.reset && session === this.#sessions.current) {
      this.#lose(nowUs, "reset", nowUs);
    }
  }

  timeout(nowUs: TimeUs): void {
    this.#sessions.timeout(nowUs);
    if (this.#next !== null && nowUs >= this.#next.createdUs + ATTACH_PATIENCE_US) {
      this.#next.end(null);
      this.#next = null;
      this.renew(nowUs);
    }
    if (this.#sessions.expired(nowUs)) this.#lose(nowUs, "expired", nowUs);
    if (nowUs >= this.#beginUs) this.renew(nowUs);
    this.#outgoing?.timeout(nowUs);
    this.#next?.timeout(nowUs);
    this.#sessions.current?.timeout(nowUs);
  }

  deadlineUs(): TimeUs {
    return Math.min(
      this.#beginUs,
      this.#outgoing?.deadlineUs() ?? NEVER,
      this.#sessions.deadlineUs(),
      this.#next === null ? NEVER : this.#next.createdUs + ATTACH_PATIENCE_US,
      this.#next?.deadlineUs() ?? NEVER,
      this.#sessions.current?.deadlineUs() ?? NEVER,
    );
  }

  pollEffect(): InitiatorEffect | undefined {
    return this.#effects.shift();
  }

  /** Handshakes now unless that is under way: every link silent for a second, or `REKEY_PACKETS` encrypted. */
  renew(nowUs: TimeUs): void {
    if (this.#closed || this.#outgoing !== null || this.#next !== null) return;
    if (this.#probes && this.established) return;
    this.#beginUs = NEVER;
    const { clientId, suite, dataTag, links, random } = this.#options;
    const transports = links
      .flatMap((link) => link.transports)
      .reduce((bits, transport) => bits | TRANSPORT_BIT[transport], 0);
    const bond = this.#sessions.current?.bond ?? NO_BOND;
    const purpose = PURPOSE[this.#purpose];
    this.#outgoing = new OutgoingHandshake(nowUs, {
      clientId,
      keys: this.#keys,
      offer: { suite, dataTag, transports, links: links.length, purpose, bond },
      links,
      random,
      contexts: this.#contexts,
      emit: this.#emit,
    });
  }

  /**
   * A link's probe went unanswered: asks the peer on it whether it still knows us (CONTROL ping).
   *
   * @param hurried - every link is silent, and has not been for long: the peer may just have started
   */
  silent(nowUs: TimeUs, number: number, hurried = false): void {
    const session = this.#sessions.current;
    const link = session?.link(number);
    if (link !== undefined) session?.ping(nowUs, link, hurried);
  }

  /** A link was down for long or its local address changed: attaches it again, numbers go on. */
  reattach(nowUs: TimeUs, number: number): void {
    for (const session of [this.#next, this.#sessions.current]) {
      const link = session?.link(number);
      if (link !== undefined) session?.reattach(nowUs, link);
    }
  }

  /**
   * A socket of the link can send now that could not before, as a TCP connection that was just made:
   * INIT or ATTACH, if one is unanswered, is sent by it at once.
   */
  opened(_nowUs: TimeUs, number: number, transport: Transport): void {
    this.#outgoing?.opened(number, transport);
    for (const session of [this.#next, this.#sessions.current]) {
      const link = session?.link(number);
      if (link !== undefined) session?.opened(link, transport);
    }
  }

  /** Says goodbye on every attached link; the object is done after its last effect. */
  close(_nowUs: TimeUs): void {
    this.#closed = true;
    this.#sessions.current?.goodbye();
    this.#endAll();
  }

  /** True from `established` to `lost`. */
  get established(): boolean {
    return this.#sessions.current !== null;
  }

  /** Not null while a handshake runs that has no answer, also while rekeying. */
  get unanswered(): Unanswered | null {
    return this.#outgoing?.unanswered ?? null;
  }

  get #probes(): boolean {
    return this.#purpose === "probe";
  }

  readonly #emit = (effect: InitiatorEffect): void => {
    this.#effects.push(effect);
  };

  #onHandshake(nowUs: TimeUs, message: LinkMessage): void {
    const retry = message.type === TYPE.retry;
    const body = retry ? decodeRetry(message.octets) : decodeResp(message.octets);
    if (body === "truncated") {
      this.counters.truncated += 1;
      return;
    }
    if (retry) {
      this.#outgoing?.retry(message.link, message.transport, body);
      return;
    }
    const answer = this.#outgoing?.resp(body) ?? null;
    if (answer === null) {
      this.counters.badHandshake += 1;
      return;
    }
    if (answer.choice.result === RESULT.ok) this.#onChoice(nowUs, answer.choice, answer.secrets);
    else this.#onRefusal(nowUs, answer.choice);
  }

  /** The answer is genuine; one that does not fit our offer or our state is not ours to use. */
  #onChoice(nowUs: TimeUs, choice: Choice, secrets: NoiseSecrets): void {
    const { suite, dataTag, links, random } = this.#options;
    const wanted = choice.suite === suite && choice.dataTag === dataTag && choice.attachId !== 0;
    const current = this.#sessions.current;
    if (!wanted || (choice.continued && current === null)) {
      this.counters.badHandshake += 1;
      return;
    }
    this.#endOutgoing();
    this.#next = new ClientSession(nowUs, {
      keys: sessionKeys(secrets),
      choice,
      continues: choice.continued ? (current?.continued ?? null) : null,
      links,
      random,
      contexts: this.#contexts,
      emit: this.#emit,
    });
  }

  #onRefusal(nowUs: TimeUs, choice: Choice): void {
    this.#endOutgoing();
    this.#beginUs = nowUs + REFUSED_RETRY_US;
    const { suite, dataTag } = choice;
    this.#emit({ tag: "refused", reason: refusedReason(choice.result), suite, dataTag });
  }

  #onChallenge(
    nowUs: TimeUs,
    session: ClientSession,
    link: ClientLink,
    message: LinkMessage,
  ): void {
    const challenge = decodeChallenge(message.octets);
    if (challenge === "truncated") {
      this.counters.truncated += 1;
      return;
    }
    const { transport } = message;
    const inUse = session === this.#next || session === this.#sessions.current;
    // An answer on another link would validate the wrong address.
    const fits = inUse && message.link === link.number;
    const verdict = fits ? session.judge(link, challenge, transport) : "unexpected";
    if (verdict !== "answer") {
      this.counters[verdict] += 1;
      return;
    }
    if (session === this.#next) this.#confirm(nowUs, session);
    session.answer(link, challenge, transport);
  }

  #confirm(nowUs: TimeUs, session: ClientSession): void {
    const { continued, suite, dataTag, addresses } = session.choice;
    this.#next = null;
    this.#beginUs = this.#probes ? NEVER : nowUs + (this.#options.rekeyAfterUs ?? REKEY_AFTER_US);
    if (this.#sessions.replace(nowUs, session, continued)) {
      this.#emit({ tag: "lost", peer: 0, reason: "replaced" });
    }
    this.#emit({ tag: "established", peer: 0, continued, suite, dataTag, addresses });
  }

  #onControl(nowUs: TimeUs, session: ClientSession, link: ClientLink, octets: Uint8Array): void {
    const control = decodeControl(octets);
    if (typeof control === "string") {
      this.counters[control] += 1;
      return;
    }
    if (session !== this.#sessions.current) return;
    if (control.tag === "attached") session.confirm(link);
    if (control.tag === "rekey") this.renew(nowUs);
    if (control.tag === "close") this.#lose(nowUs, "closed", nowUs + CLOSED_RETRY_US);
  }

  /** The session is over; the next handshake begins at `beginUs` and offers no bond. */
  #lose(nowUs: TimeUs, reason: LostReason, beginUs: TimeUs): void {
    this.#endAll();
    this.#emit({ tag: "lost", peer: 0, reason });
    // Whoever measures notices; a newer probing session must not be driven out in turn.
    this.#closed ||= this.#probes;
    if (this.#closed) return;
    this.#beginUs = beginUs;
    if (nowUs >= beginUs) this.renew(nowUs);
  }

  #endAll(): void {
    this.#beginUs = NEVER;
    this.#endOutgoing();
    this.#next?.end(null);
    this.#next = null;
    this.#sessions.end();
  }

  #endOutgoing(): void {
    this.#outgoing?.end();
    this.#outgoing = null;
  }
}
