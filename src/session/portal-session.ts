/**
 * One client's session as the Remote Portal has it: its keys and its links, each with the address
 * that has answered last. User data goes to no other address.
 */
import { type Path, samePath } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import {
  ATTACH_OCTETS,
  type Attach,
  encodeChallenge,
  LINK_NUMBER_MAX,
  NONCE_OCTETS,
  observedFrom,
} from "../wire/attach.ts";
import { type Control, encodeControl } from "../wire/control.ts";
import { TAG_OCTETS } from "../wire/message.ts";
import { AddressCheck } from "./address-check.ts";
import type { Draft } from "./answer.ts";
import type { Continued } from "./client-session.ts";
import type { Contexts } from "./contexts.ts";
import type { ResponderEffect, SessionCounters } from "./effects.ts";
import { linkKeys, resetToken } from "./keys.ts";
import { ROAM_COOLDOWN_US } from "./limits.ts";
import type { Pending } from "./pending.ts";
import { seal } from "./seal.ts";
import type { Tombstone } from "./tombstones.ts";

const NO_ECHO = new Uint8Array(NONCE_OCTETS);
/** No RESPONSE fits it. */
const NO_ATTACH = { path: new Uint8Array(0), echo: NO_ECHO, nonce: NO_ECHO };

export interface PortalLink {
  readonly number: number;
  readonly id: number;
  readonly context: number;
  /** Link id of the client. */
  readonly peerId: number;
  /** The address that has answered; null before the first RESPONSE. */
  path: Path | null;
  /** The newest ATTACH, and the nonce that its CHALLENGE carried. */
  attach: { readonly path: Path; readonly echo: Uint8Array; readonly nonce: Uint8Array };
  check: AddressCheck | null;
  /** No address check begins before. */
  checkAfterUs: TimeUs;
}

export type PortalBinding =
  | { readonly tag: "client"; readonly peer: number }
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

  /** For the session that continues this one's bond. */
  get continued(): Continued {
    const contexts = new Map(this.#options.continues?.contexts);
    for (const { number, context } of this.links.values()) contexts.set(number, context);
    return { bond: this.bond, contexts };
  }

  /**
   * Answers ATTACH with CHALLENGE; false when it does not fit what the client said before. From
   * another address than the link's it is checked as any packet would be: whoever passes packets on
   * faster than the network could otherwise take the link over.
   */
  attach(nowUs: TimeUs, attach: Attach, path: Path): boolean {
    if (attach.link > LINK_NUMBER_MAX || attach.id === 0) return false;
    const link = this.links.get(attach.link) ?? this.#listen(attach);
    if (link.peerId !== attach.id) return false;
    if (link.path !== null && !samePath(link.path, path)) {
      this.sourceDiffers(nowUs, link, path, ATTACH_OCTETS + TAG_OCTETS);
      return true;
    }
    const { path: before, echo } = link.attach;
    // The same ATTACH again keeps its nonce, so that a late RESPONSE is still good.
    const same = samePath(before, path) && Buffer.compare(echo, attach.nonce) === 0;
    const nonce = same ? link.attach.nonce : this.#options.random(NONCE_OCTETS);
    link.attach = { path: path.slice(), echo: attach.nonce, nonce };
    this.#challenge(link, attach.nonce, nonce, path);
    return true;
  }

  /** A RESPONSE proves that the client receives at `path`; false when it answers nothing of ours. */
  response(nowUs: TimeUs, link: PortalLink, echo: Uint8Array, path: Path): boolean {
    const ofAttach = Buffer.compare(echo, link.attach.nonce) === 0;
    if (ofAttach && samePath(path, link.attach.path)) {
      this.#validate(link, link.attach.path);
      return true;
    }
    if (link.check === null) return false;
    link.check.response(nowUs, echo, path);
    this.#judge(nowUs, link);
    return true;
  }

  /** Authenticated octets of a link came from `path`, which is not the link's. */
  sourceDiffers(nowUs: TimeUs, link: PortalLink, path: Path, octets: number): void {
    if (link.path === null || samePath(link.path, path)) return;
    if (link.check === null) {
      if (nowUs < link.checkAfterUs) return;
      const { random } = this.#options;
      link.check = new AddressCheck(nowUs, {
        path: path.slice(),
        nonce: random(NONCE_OCTETS),
        oldPath: link.path,
        oldNonce: random(NONCE_OCTETS),
      });
    }
    if (!samePath(link.check.options.path, path)) return;
    link.check.received(octets);
    this.#challengeBoth(nowUs, link, link.check);
  }

  timeout(nowUs: TimeUs): void {
    for (const link of this.links.values()) {
      if (link.check === null) continue;
      this.#challengeBoth(nowUs, link, link.check);
      this.#judge(nowUs, link);
    }
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    let deadlineUs = NEVER;
    for (const { check } of this.links.values()) {
      if (check !== null) deadlineUs = Math.min(deadlineUs, check.deadlineUs(nowUs));
    }
    return deadlineUs;
  }

  /** Sends a CONTROL on every attached link: one of them arrives. */
  tell(control: Control): void {
    const body = encodeControl(control);
    for (const link of this.links.values()) if (link.path !== null) this.#control(link, body);
  }

  /** What to remember over a restart. */
  tombstones(clientId: Uint8Array): Tombstone[] {
    const { keys } = this.#options.draft;
    const attached = [...this.links.values()].filter(({ path }) => path !== null);
    return attached.map(({ id }) => {
      return { clientId, linkId: id, control: keys.up.control, token: resetToken(keys.reset, id) };
    });
  }

  /** Forgets everything; links that `successor` has attached stay attached by that. */
  end(successor: PortalSession | null): void {
    const { contexts, emit, context, peer } = this.#options;
    for (const link of this.links.values()) {
      const replaced = (successor?.links.get(link.number)?.path ?? null) !== null;
      if (link.path !== null && !replaced) {
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
    const { contexts, draft, peer, continues, emit } = this.#options;
    const id = contexts.takeId();
    const context = contexts.takeNumber();
    const link: PortalLink = {
      number: attach.link,
      id,
      context,
      peerId: attach.id,
      path: null,
      attach: NO_ATTACH,
      check: null,
      checkAfterUs: 0,
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

  #challengeBoth(nowUs: TimeUs, link: PortalLink, check: AddressCheck): void {
    if (!check.takeChallenge(nowUs)) return;
    const { path, nonce, oldPath, oldNonce } = check.options;
    this.#challenge(link, NO_ECHO, nonce, path);
    this.#challenge(link, NO_ECHO, oldNonce, oldPath);
  }

  #judge(nowUs: TimeUs, link: PortalLink): void {
    const { check } = link;
    const verdict = check?.verdict(nowUs) ?? "open";
    if (check === null || verdict === "open") return;
    link.check = null;
    link.checkAfterUs = nowUs + ROAM_COOLDOWN_US;
    if (verdict === "moved") {
      // A RESPONSE that is still under way from the old address must not move the link back.
      link.attach = NO_ATTACH;
      this.#validate(link, check.options.path);
    }
    if (verdict === "unanswered") this.#options.counters.roamUnanswered += 1;
    if (verdict === "conflict") {
      this.#options.counters.roamConflict += 1;
      // The old address has just answered: an ATTACH that began this is settled.
      this.#control(link, encodeControl({ tag: "attached" }));
    }
  }

  /** The client answered from `path`. */
  #validate(link: PortalLink, path: Path): void {
    const { emit, peer, counters } = this.#options;
    const { number, context, peerId } = link;
    const before = link.path;
    link.path = path;
    if (before === null) {
      emit({ tag: "attached", peer, link: number, context, transmitId: peerId, path });
    } else if (!samePath(before, path)) {
      counters.roamOk += 1;
      link.check = null;
      emit({ tag: "moved", peer, link: number, context, path });
    }
    this.#control(link, encodeControl({ tag: "attached" }));
  }

  #control(link: PortalLink, body: Uint8Array): void {
    const { emit, peer } = this.#options;
    emit({ tag: "sendControl", peer, link: link.number, context: link.context, body });
  }
}
