/**
 * One client's session as the Remote Portal has it: its keys and its links, each with the path that
 * has answered last (`link-home.ts`).
 */
import { PATH_AT, type Path, samePath } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { type Attach, encodeChallenge, LINK_NUMBER_MAX, observedFrom } from "../wire/attach.ts";
import { type Control, encodeControl } from "../wire/control.ts";
import type { Draft } from "./answer.ts";
import type { Continued } from "./client-session.ts";
import type { Contexts } from "./contexts.ts";
import type { ResponderEffect, SessionCounters } from "./effects.ts";
import { linkKeys, resetToken } from "./keys.ts";
import { LinkHome } from "./link-home.ts";
import type { Pending } from "./pending.ts";
import { seal } from "./seal.ts";
import type { Tombstone } from "./tombstones.ts";

export interface PortalLink {
  readonly number: number;
  readonly id: number;
  readonly context: number;
  /** Link id of the client. */
  readonly peerId: number;
  readonly home: LinkHome;
}

export type PortalBinding =
  | { readonly tag: "client"; readonly index: number }
  | { readonly tag: "pending"; readonly pending: Pending }
  | { readonly tag: "session"; readonly session: PortalSession }
  | { readonly tag: "link"; readonly session: PortalSession; readonly link: PortalLink }
  | { readonly tag: "tombstone"; readonly tombstone: Tombstone };

export interface PortalSessionOptions {
  readonly peer: number;
  readonly draft: Draft;
  /** Context of ATTACH, taken over from the pending handshake. */
  readonly context: number;
  /** The bond that goes on, with its contexts by link number; null: a new one begins. */
  readonly continues: Continued | null;
  readonly random: RandomOctets;
  readonly contexts: Contexts<PortalBinding>;
  readonly counters: SessionCounters;
  readonly emit: (effect: ResponderEffect) => void;
}

export class PortalSession {
  readonly bond: Uint8Array;
  readonly createdUs: TimeUs;
  readonly links = new Map<number, PortalLink>();
  readonly #options: PortalSessionOptions;
  /** Of CHALLENGE. */
  #attachSeq = 0;

  constructor(nowUs: TimeUs, options: PortalSessionOptions) {
    this.#options = options;
    this.createdUs = nowUs;
    this.bond = options.continues?.bond ?? options.draft.keys.bond;
  }

  get peer(): number {
    return this.#options.peer;
  }

  /** Where its links have answered. */
  get homes(): Path[] {
    return [...this.links.values()].flatMap(({ home }) => (home.path === null ? [] : [home.path]));
  }

  /** For the session that continues this one's bond. */
  get continued(): Continued {
    const contexts = new Map(this.#options.continues?.contexts);
    for (const { number, context } of this.links.values()) contexts.set(number, context);
    return { bond: this.bond, contexts };
  }

  /** Answers ATTACH with CHALLENGE; false when it does not fit what the client said before. */
  attach(nowUs: TimeUs, attach: Attach, path: Path): boolean {
    if (attach.link > LINK_NUMBER_MAX || attach.id === 0) return false;
    // Played by another transport than its own: somebody passes it on.
    if (attach.transport !== path[PATH_AT.transport]) return false;
    const link = this.links.get(attach.link) ?? this.#listen(attach);
    if (link.peerId !== attach.id) return false;
    link.home.attach(nowUs, attach.nonce, path);
    return true;
  }

  timeout(nowUs: TimeUs): void {
    for (const { home } of this.links.values()) home.timeout(nowUs);
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    let deadlineUs = NEVER;
    for (const { home } of this.links.values()) {
      deadlineUs = Math.min(deadlineUs, home.deadlineUs(nowUs));
    }
    return deadlineUs;
  }

  /** Sends a CONTROL on every attached link: one of them arrives. */
  tell(control: Control): void {
    const body = encodeControl(control);
    for (const link of this.links.values()) if (link.home.path !== null) this.#control(link, body);
  }

  /** What to remember over a restart. */
  tombstones(clientId: Uint8Array): Tombstone[] {
    const { keys } = this.#options.draft;
    const attached = [...this.links.values()].filter(({ home }) => home.path !== null);
    return attached.map(({ id }) => {
      return { clientId, linkId: id, control: keys.up.control, token: resetToken(keys.reset, id) };
    });
  }

  /** Forgets everything; links that `successor` has attached stay attached by that. */
  end(successor: PortalSession | null): void {
    const { contexts, emit, context, peer } = this.#options;
    for (const link of this.links.values()) {
      const replaced = (successor?.links.get(link.number)?.home.path ?? null) !== null;
      if (link.home.path !== null && !replaced) {
        emit({ tag: "detached", peer, link: link.number, context: link.context });
      }
      this.#unlisten(link.id, link.context);
    }
    this.#unlisten(this.#options.draft.choice.attachId, context);
    this.links.clear();
    contexts.release(context);
  }

  #unlisten(id: number, context: number): void {
    const { contexts, emit } = this.#options;
    emit({ tag: "unlisten", id, context });
    contexts.release(context);
    contexts.freeId(id);
  }

  #listen(attach: Attach): PortalLink {
    const { contexts, draft, peer, continues, random, counters, emit } = this.#options;
    const id = contexts.takeId();
    const context = contexts.takeNumber();
    const link: PortalLink = {
      number: attach.link,
      id,
      context,
      peerId: attach.id,
      home: new LinkHome({
        random,
        counters,
        challenge: (path, echo, nonce) => this.#challenge(link, echo, nonce, path),
        settled: (before, home) => this.#settled(link, before, home),
        rerouted: (before, path) =>
          emit({ tag: "rerouted", peer, link: link.number, context, before, path }),
      }),
    };
    contexts.bind(context, { tag: "link", session: this, link });
    this.links.set(link.number, link);
    const { suite, dataTag } = draft.choice;
    const form = { suite, dataTag, linkNumber: link.number };
    emit({
      tag: "listenLink",
      id,
      context,
      peer,
      link: link.number,
      receive: linkKeys(draft.keys.up, form),
      transmit: linkKeys(draft.keys.down, form),
      continues: continues?.contexts.get(link.number) ?? 0,
    });
    return link;
  }

  #challenge(link: PortalLink, echo: Uint8Array, nonce: Uint8Array, path: Path): void {
    const fields = { echo, nonce, link: link.number, id: link.id, ...observedFrom(path) };
    const message = encodeChallenge(link.peerId, this.#attachSeq, fields);
    const octets = seal(this.#options.draft.keys.down.attach, this.#attachSeq, message);
    this.#attachSeq += 1;
    this.#options.emit({ tag: "send", path: path.slice(), octets });
  }

  /** The client has answered from `home`. */
  #settled(link: PortalLink, before: Path | null, home: Path): void {
    const { emit, peer } = this.#options;
    const { number, context, peerId } = link;
    if (before === null) {
      emit({ tag: "attached", peer, link: number, context, transmitId: peerId, path: home });
    } else if (!samePath(before, home)) {
      emit({ tag: "moved", peer, link: number, context, path: home });
    }
    this.#control(link, encodeControl({ tag: "attached" }));
  }

  #control(link: PortalLink, body: Uint8Array): void {
    const { emit, peer } = this.#options;
    emit({ tag: "sendControl", peer, link: link.number, context: link.context, body });
  }
}
