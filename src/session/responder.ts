/**
 * The Remote Portal's side of the sessions of many clients: answers handshakes, confirms sessions,
 * validates addresses. Nothing is kept for a client whose INIT did not authenticate. No socket, no
 * clock: see `effects.ts` for what goes in and comes out.
 *
 *   INIT -> pending --first ATTACH--> current --rekey--> retired, for OVERLAP_US
 */
import type { Path } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import { decodeAttach, decodeResponse } from "../wire/attach.ts";
import { decodeControl } from "../wire/control.ts";
import { type InnerAddress, TRANSPORT_BIT } from "../wire/offer.ts";
import { TYPE } from "../wire/preamble.ts";
import { type Budget, createBudget } from "./admission.ts";
import { Contexts } from "./contexts.ts";
import {
  type LostReason,
  type PathMessage,
  type ResponderEffect,
  type SessionCounters,
  sessionCounters,
} from "./effects.ts";
import { Graveyard } from "./graveyard.ts";
import { IncomingHandshakes } from "./incoming.ts";
import { type ClientKeys, clientKeys } from "./keys.ts";
import type { Pending } from "./pending.ts";
import { type PortalBinding, type PortalLink, PortalSession } from "./portal-session.ts";
import { SessionChain } from "./session-chain.ts";

export interface ResponderClient {
  /** 8 octets, unique. */
  readonly clientId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
  /** Told to the client for comparison; the first CHOICE_ADDRESSES_MAX. */
  readonly addresses: readonly InnerAddress[];
}

export interface ResponderOptions {
  /** The index in this list is the `peer` of every effect. */
  readonly clients: readonly ResponderClient[];
  /** Required SUITE of DATA. */
  readonly suite: number;
  /** Shortest DATA tag that is accepted. */
  readonly dataTagMin: number;
  readonly transports: readonly Transport[];
  readonly random: RandomOctets;
  /** The newest `persist` record of an earlier run. */
  readonly record?: Uint8Array;
}

interface Client {
  readonly peer: number;
  readonly clientId: Uint8Array;
  readonly keys: ClientKeys;
  readonly addresses: readonly InnerAddress[];
  readonly budget: Budget;
  readonly sessions: SessionChain<PortalSession>;
}

export class Responder {
  readonly counters: SessionCounters = sessionCounters();
  readonly #random: RandomOctets;
  readonly #clients: readonly Client[];
  readonly #contexts: Contexts<PortalBinding>;
  readonly #incoming: IncomingHandshakes;
  readonly #graveyard: Graveyard;
  readonly #effects: ResponderEffect[] = [];
  /** No deadline lies before this; found anew by `timeout`, so that asking costs nothing. */
  #wakeUs: TimeUs = NEVER;

  constructor(options: ResponderOptions) {
    const { random, suite, dataTagMin, transports, clients } = options;
    this.#random = random;
    const bits = transports.reduce((sum, transport) => sum | TRANSPORT_BIT[transport], 0);
    this.#contexts = new Contexts(random);
    this.#clients = clients.map((client, peer) => createClient(client, peer));
    const { counters } = this;
    const shared = { random, contexts: this.#contexts, counters, emit: this.#emit };
    const policy = { suite, dataTagMin, transports: bits };
    this.#incoming = new IncomingHandshakes({ ...shared, policy });
    this.#graveyard = new Graveyard({ ...shared, record: options.record ?? null });
  }

  /** Emits `addClient` for every client and `listen` for what an earlier run left. */
  start(nowUs: TimeUs): void {
    for (const { peer, clientId, keys } of this.#clients) {
      const context = this.#contexts.takeNumber();
      this.#contexts.bind(context, { tag: "client", peer });
      this.#emit({ tag: "addClient", clientId, key: keys.init, context });
    }
    this.#graveyard.open(nowUs);
    this.timeout(nowUs);
  }

  /**
   * Takes INIT, ATTACH, RESPONSE and CONTROL, and FEEDBACK whose context is not a link's (it belongs
   * to a session from before a restart); ignores other types.
   */
  handle(nowUs: TimeUs, message: PathMessage): void {
    const binding = this.#contexts.get(message.context);
    if (binding === undefined) this.counters.unknownContext += 1;
    else this.#dispatch(nowUs, binding, message);
    this.#reschedule(nowUs);
  }

  /**
   * An authenticated packet of a link came from another path than the link's. Call it for packets
   * that raised the largest sequence number only, so that a late one moves nothing. A path by another
   * transport than the home's is ignored: only ATTACH moves a link there.
   *
   * @param octets - length of the packet on the wire: an unvalidated path is sent 3 times that at most
   */
  sourceDiffers(nowUs: TimeUs, context: number, path: Path, octets: number): void {
    const binding = this.#contexts.get(context);
    if (binding?.tag !== "link" || this.#clientOf(binding.session) === null) return;
    binding.link.home.sourceDiffers(nowUs, path, octets);
    this.#wakeUs = Math.min(this.#wakeUs, binding.session.deadlineUs(nowUs));
  }

  timeout(nowUs: TimeUs): void {
    if (nowUs < this.#wakeUs) return;
    this.#incoming.timeout(nowUs);
    for (const client of this.#clients) {
      client.sessions.timeout(nowUs);
      client.sessions.current?.timeout(nowUs);
      if (client.sessions.expired(nowUs)) this.#lose(client, "expired");
    }
    this.#graveyard.timeout(nowUs);
    this.#reschedule(nowUs);
  }

  deadlineUs(): TimeUs {
    return this.#wakeUs;
  }

  pollEffect(): ResponderEffect | undefined {
    return this.#effects.shift();
  }

  /** Asks a client to rekey (CONTROL rekey on every attached link). */
  requestRekey(_nowUs: TimeUs, peer: number): void {
    this.#clients[peer]?.sessions.current?.tell({ tag: "rekey" });
  }

  /**
   * Says goodbye to every client; the object is done after its last effect. The record stays: a
   * client that missed the goodbye is told by RESET after the next start.
   */
  close(_nowUs: TimeUs): void {
    this.#incoming.end();
    for (const client of this.#clients) {
      client.sessions.current?.tell({ tag: "close", reason: 0 });
      if (client.sessions.current !== null) this.#lose(client, "closed");
    }
    this.#wakeUs = NEVER;
  }

  readonly #emit = (effect: ResponderEffect): void => {
    this.#effects.push(effect);
    if (effect.tag === "attached" || effect.tag === "detached") this.#graveyard.changed();
  };

  #dispatch(nowUs: TimeUs, binding: PortalBinding, message: PathMessage): void {
    const { type, octets, path } = message;
    if (binding.tag === "tombstone") {
      this.#graveyard.answer(nowUs, binding.tombstone, path);
    } else if (binding.tag === "client" && type === TYPE.init) {
      const client = this.#clients[binding.peer] as Client;
      const bond = client.sessions.current?.bond ?? null;
      this.#incoming.init(nowUs, { ...client, bond }, octets, path);
    } else if (binding.tag === "pending" && type === TYPE.attach) {
      const session = this.#confirm(nowUs, binding.pending, message.context);
      if (session !== null) this.#onAttach(nowUs, session, octets, path);
    } else if (binding.tag === "session" && type === TYPE.attach) {
      this.#onAttach(nowUs, binding.session, octets, path);
    } else if (binding.tag === "link" && type === TYPE.response) {
      this.#onResponse(nowUs, binding.session, binding.link, message);
    } else if (binding.tag === "link" && type === TYPE.control) {
      this.#onControl(binding.session, octets);
    }
  }

  /** The first ATTACH: the client has the keys, so the session takes its place. */
  #confirm(nowUs: TimeUs, pending: Pending, context: number): PortalSession | null {
    const client = this.#clients[pending.peer] as Client;
    const { draft } = pending.answer;
    const old = client.sessions.current;
    // The bond that was promised to go on may be gone meanwhile: the client will begin again.
    const kept = draft?.bond == null || sameOctets(draft.bond, old?.bond);
    if (draft === null || !kept) {
      this.counters.unexpected += 1;
      this.#incoming.cancel(pending);
      return null;
    }
    const { continued, suite, dataTag, addresses } = draft.choice;
    pending.confirmed = true;
    this.#graveyard.bury(client.clientId);
    const { peer } = client;
    const session = new PortalSession(nowUs, {
      peer,
      draft,
      context,
      continues: continued ? (old?.continued ?? null) : null,
      random: this.#random,
      contexts: this.#contexts,
      counters: this.counters,
      emit: this.#emit,
    });
    this.#contexts.bind(context, { tag: "session", session });
    if (client.sessions.replace(nowUs, session, continued)) {
      this.counters.replaced += 1;
      this.#emit({ tag: "lost", peer, reason: "replaced" });
    }
    this.#emit({ tag: "established", peer, continued, suite, dataTag, addresses });
    return session;
  }

  #onAttach(nowUs: TimeUs, session: PortalSession, octets: Uint8Array, path: Path): void {
    const attach = decodeAttach(octets);
    if (attach === "truncated") {
      this.counters.truncated += 1;
      return;
    }
    const current = this.#clientOf(session) !== null;
    if (!current || !session.attach(nowUs, attach, path)) this.counters.unexpected += 1;
  }

  #onResponse(nowUs: TimeUs, session: PortalSession, link: PortalLink, message: PathMessage): void {
    const echo = decodeResponse(message.octets);
    if (echo === "truncated") {
      this.counters.truncated += 1;
      return;
    }
    const current = this.#clientOf(session) !== null;
    const expected = current && link.home.response(nowUs, echo, message.path);
    if (!expected) this.counters.unexpected += 1;
  }

  #onControl(session: PortalSession, octets: Uint8Array): void {
    const control = decodeControl(octets);
    if (typeof control === "string") {
      this.counters[control] += 1;
      return;
    }
    const client = this.#clientOf(session);
    if (client !== null && control.tag === "close") this.#lose(client, "closed");
  }

  /** The client whose present session this is; null for one that another has replaced. */
  #clientOf(session: PortalSession): Client | null {
    const client = this.#clients[session.peer];
    return client?.sessions.current === session ? client : null;
  }

  #lose(client: Client, reason: LostReason): void {
    client.sessions.end();
    this.#emit({ tag: "lost", peer: client.peer, reason });
  }

  #persist(nowUs: TimeUs): void {
    if (!this.#graveyard.takeDue(nowUs)) return;
    const living = this.#clients.flatMap(
      ({ clientId, sessions }) => sessions.current?.tombstones(clientId) ?? [],
    );
    this.#emit({ tag: "persist", record: this.#graveyard.record(living) });
  }

  #reschedule(nowUs: TimeUs): void {
    this.#persist(nowUs);
    this.#wakeUs = Math.min(this.#incoming.deadlineUs(), this.#graveyard.deadlineUs());
    for (const { sessions } of this.#clients) {
      const checkUs = sessions.current?.deadlineUs(nowUs) ?? NEVER;
      this.#wakeUs = Math.min(this.#wakeUs, sessions.deadlineUs(), checkUs);
    }
  }
}

function createClient(client: ResponderClient, peer: number): Client {
  const { clientId, key, addresses } = client;
  const keys = clientKeys(key);
  const budget = createBudget();
  return { peer, clientId, keys, addresses, budget, sessions: new SessionChain() };
}

function sameOctets(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
