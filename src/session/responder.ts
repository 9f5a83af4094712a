/**
 * The Remote Portal's side of the sessions of many clients: answers handshakes, confirms sessions,
 * validates addresses. Nothing is kept for a client whose INIT did not authenticate. No socket, no
 * clock: see `effects.ts` for what goes in and comes out.
 *
 *   INIT -> pending --first ATTACH--> current --rekey--> retired, for OVERLAP_US
 *
 * A client may have one probing session beside its tunnel's (`seats.ts`): no rekey, no RESET.
 */
import type { Path } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import { decodeAttach, decodeResponse } from "../wire/attach.ts";
import { decodeControl } from "../wire/control.ts";
import { TRANSPORT_BIT } from "../wire/offer.ts";
import { TYPE } from "../wire/preamble.ts";
import type { Contenders } from "./contest.ts";
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
import type { Pending } from "./pending.ts";
import { type PortalBinding, type PortalLink, PortalSession } from "./portal-session.ts";
import { type ResponderClient, type Seat, Seats } from "./seats.ts";

export type { ResponderClient } from "./seats.ts";

export interface ResponderOptions {
  /** The index in this list is the `peer` of every effect; see `CommonEffect` for probing sessions. */
  readonly clients: readonly ResponderClient[];
  /** Required SUITE of DATA. */
  readonly suite: number;
  /** Shortest DATA tag that is accepted. */
  readonly dataTagMin: number;
  readonly transports: readonly Transport[];
  readonly random: RandomOctets;
  /** Refuses tunnels: every session is for measuring. Default false. */
  readonly probeOnly?: boolean;
  /** The newest `persist` record of an earlier run. */
  readonly record?: Uint8Array;
}

export class Responder {
  readonly counters: SessionCounters = sessionCounters();
  readonly #random: RandomOctets;
  readonly #seats: Seats;
  readonly #contexts: Contexts<PortalBinding>;
  readonly #incoming: IncomingHandshakes;
  readonly #graveyard: Graveyard;
  readonly #effects: ResponderEffect[] = [];
  /** No deadline lies before this; found anew by `timeout`, so that asking costs nothing. */
  #wakeUs: TimeUs = NEVER;

  constructor(options: ResponderOptions) {
    const { random, suite, dataTagMin, transports, clients, probeOnly = false } = options;
    this.#random = random;
    const bits = transports.reduce((sum, transport) => sum | TRANSPORT_BIT[transport], 0);
    this.#contexts = new Contexts(random);
    this.#seats = new Seats(clients);
    const { counters } = this;
    const shared = { random, contexts: this.#contexts, counters, emit: this.#emit };
    const policy = { suite, dataTagMin, transports: bits, probeOnly };
    this.#incoming = new IncomingHandshakes({ ...shared, policy });
    this.#graveyard = new Graveyard({ ...shared, record: options.record ?? null });
  }

  /** Emits `addClient` for every client and `listen` for what an earlier run left. */
  start(nowUs: TimeUs): void {
    for (const { index, clientId, keys } of this.#seats.clients) {
      const context = this.#contexts.takeNumber();
      this.#contexts.bind(context, { tag: "client", index });
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
   * An authenticated packet of a link came from another path than where messages of its transport go.
   * Call it for HELLOs and for packets that raised the largest sequence number, so that a late one asks
   * for nothing. Only ATTACH moves a link to another transport than the home's.
   *
   * @param octets - length of the packet on the wire: an unvalidated path is sent 3 times that at most
   * @param settled - where messages of the path's transport go, if the client has answered there
   */
  sourceDiffers(
    nowUs: TimeUs,
    context: number,
    path: Path,
    octets: number,
    settled: Path | null,
  ): void {
    const binding = this.#contexts.get(context);
    if (binding?.tag !== "link" || this.#seats.holding(binding.session) === null) return;
    binding.link.home.sourceDiffers(nowUs, path, octets, settled);
    this.#wakeUs = Math.min(this.#wakeUs, binding.session.deadlineUs(nowUs));
  }

  timeout(nowUs: TimeUs): void {
    if (nowUs < this.#wakeUs) return;
    this.#incoming.timeout(nowUs);
    for (const seat of this.#seats.all) {
      seat.sessions.timeout(nowUs);
      seat.sessions.current?.timeout(nowUs);
      if (seat.sessions.expired(nowUs)) this.#lose(seat, "expired");
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

  /** The two machines that have lately taken the seat of this client from each other; null: none have. */
  contenders(nowUs: TimeUs, peer: number): Contenders | null {
    return this.#seats.all[peer]?.contest.at(nowUs) ?? null;
  }

  /** Asks a client to rekey (CONTROL rekey on every attached link); one that probes does not. */
  requestRekey(_nowUs: TimeUs, peer: number): void {
    this.#seats.all[peer]?.sessions.current?.tell({ tag: "rekey" });
  }

  /**
   * Says goodbye to every client; the object is done after its last effect. The record stays: a
   * client that missed the goodbye is told by RESET after the next start.
   */
  close(_nowUs: TimeUs): void {
    this.#incoming.end();
    for (const seat of this.#seats.all) {
      seat.sessions.current?.tell({ tag: "close", reason: 0 });
      if (seat.sessions.current !== null) this.#lose(seat, "closed");
    }
    this.#wakeUs = NEVER;
  }

  readonly #emit = (effect: ResponderEffect): void => {
    this.#effects.push(effect);
    if (effect.tag !== "attached" && effect.tag !== "detached") return;
    if (!this.#seats.isProbe(effect.peer)) this.#graveyard.changed();
  };

  #dispatch(nowUs: TimeUs, binding: PortalBinding, message: PathMessage): void {
    const { type, octets, path } = message;
    if (binding.tag === "tombstone") {
      this.#graveyard.answer(nowUs, binding.tombstone, path);
    } else if (binding.tag === "client" && type === TYPE.init) {
      const { client, sessions } = this.#seats.of(binding.index, "tunnel");
      const bond = sessions.current?.bond ?? null;
      this.#incoming.init(nowUs, { ...client, bond }, octets, path);
    } else if (binding.tag === "pending" && type === TYPE.attach) {
      const session = this.#confirm(nowUs, binding.pending, message.context, path);
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
  #confirm(nowUs: TimeUs, pending: Pending, context: number, path: Path): PortalSession | null {
    const { draft } = pending.answer;
    const seat = this.#seats.of(pending.client, draft?.purpose ?? "tunnel");
    const { peer, sessions } = seat;
    const old = sessions.current;
    // The bond that was promised to go on may be gone meanwhile: the client will begin again.
    const kept = draft?.bond == null || sameOctets(draft.bond, old?.bond);
    if (draft === null || !kept) {
      this.counters.unexpected += 1;
      this.#incoming.cancel(pending);
      return null;
    }
    const { continued, suite, dataTag, addresses } = draft.choice;
    pending.confirmed = true;
    if (seat.purpose === "tunnel") this.#graveyard.bury(seat.client.clientId);
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
    const had = old?.homes ?? [];
    if (sessions.replace(nowUs, session, continued)) this.#replaced(nowUs, seat, had, path);
    this.#emit({ tag: "established", peer, continued, suite, dataTag, addresses });
    return session;
  }

  /** The client began anew, at `by`; its session before was at `had`. */
  #replaced(nowUs: TimeUs, seat: Seat, had: readonly Path[], by: Path): void {
    const { peer, purpose, contest } = seat;
    this.#emit({ tag: "lost", peer, reason: "replaced" });
    if (purpose !== "tunnel") return;
    this.counters.replaced += 1;
    const contenders = contest.replaced(nowUs, had, by);
    if (contenders !== null) this.#emit({ tag: "contested", peer, contenders });
  }

  #onAttach(nowUs: TimeUs, session: PortalSession, octets: Uint8Array, path: Path): void {
    const attach = decodeAttach(octets);
    if (attach === "truncated") {
      this.counters.truncated += 1;
      return;
    }
    const current = this.#seats.holding(session) !== null;
    if (!current || !session.attach(nowUs, attach, path)) this.counters.unexpected += 1;
  }

  #onResponse(nowUs: TimeUs, session: PortalSession, link: PortalLink, message: PathMessage): void {
    const echo = decodeResponse(message.octets);
    if (echo === "truncated") {
      this.counters.truncated += 1;
      return;
    }
    const current = this.#seats.holding(session) !== null;
    const expected = current && link.home.response(nowUs, echo, message.path);
    if (!expected) this.counters.unexpected += 1;
  }

  #onControl(session: PortalSession, octets: Uint8Array): void {
    const control = decodeControl(octets);
    if (typeof control === "string") {
      this.counters[control] += 1;
      return;
    }
    const seat = this.#seats.holding(session);
    if (seat !== null && control.tag === "close") this.#lose(seat, "closed");
  }

  #lose({ peer, sessions }: Seat, reason: LostReason): void {
    sessions.end();
    this.#emit({ tag: "lost", peer, reason });
  }

  #persist(nowUs: TimeUs): void {
    if (!this.#graveyard.takeDue(nowUs)) return;
    const living = this.#seats.all
      .filter(({ purpose }) => purpose === "tunnel")
      .flatMap(({ client, sessions }) => sessions.current?.tombstones(client.clientId) ?? []);
    this.#emit({ tag: "persist", record: this.#graveyard.record(living) });
  }

  #reschedule(nowUs: TimeUs): void {
    this.#persist(nowUs);
    this.#wakeUs = Math.min(
      this.#incoming.deadlineUs(),
      this.#graveyard.deadlineUs(),
      this.#seats.deadlineUs(nowUs),
    );
  }
}

function sameOctets(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
