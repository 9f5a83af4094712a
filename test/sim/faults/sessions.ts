/**
 * The session of an emulated tunnel, as far as restarts need it: who knows whom, in messages that travel the
 * paths like all others. What is not here: keys, denial of service (`src/session` has them).
 *
 *   A (Local)                                          B (Remote)
 *   killed, or told RESET, or all links silent: INIT  ─────▶  RESP
 *   new session, all links unattached: ATTACH a link  ─────▶  new session at the first; link attached
 *   link attached                                     ◀─────  ATTACHED
 *   new keys: INIT that names the session, RESP, and every link is attached once more
 */
import type { Arena } from "../../../src/core/arena.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../../../src/core/time.ts";
import type { Link } from "../../../src/link/link.ts";
import {
  ATTACH_INTERVAL_MAX_US,
  ATTACH_INTERVAL_US,
  INIT_PAUSES,
} from "../../../src/session/limits.ts";
import { TYPE, typeOf } from "../../../src/wire/preamble.ts";
import type { EventQueue, Process } from "../events.ts";
import { takeSlot } from "../packets.ts";
import type { Portal } from "../portal.ts";
import type { Tunnel } from "../tunnel.ts";
import type { Addresses } from "./addresses.ts";

/** Octets of these messages: about what a handshake's have. */
const MESSAGE_OCTETS = 160;
const AT = { session: 8, known: 12 } as const;
/** All links silent for so long: perhaps the peer has forgotten us (`portal/local.ts`). */
const RENEW_AFTER_US = 600 * MS;
/** A handshake that nobody answers is repeated so often, as in its first ten seconds. */
const INIT_INTERVAL_US = INIT_PAUSES[0]?.pauseUs ?? SECOND;
/** No link of a new session attached for so long: the peer has died between the two (`session/limits.ts` waits longer). */
const UNATTACHED_US = 3 * SECOND;
const LOOK_EVERY_US = 250 * MS;
/** One RESET a link in this time. */
const RESET_EVERY_US = 10 * MS;

export class Sessions implements Process {
  /** Sessions made after the first. */
  renewals = 0;
  /** New keys for a session that goes on. */
  rekeys = 0;
  /** When a portal was last given a new session. */
  renewedUs: TimeUs = Number.NEGATIVE_INFINITY;
  /** Inner packets that died with a process or a session before they left, at the most. */
  buried = 0;
  readonly #tunnel: Tunnel;
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #links: number;
  #last = 1;
  /** The session A asks for; 0: none. */
  #asked = 0;
  #askUs: TimeUs = NEVER;
  #attachUs: TimeUs = NEVER;
  #attachIntervalUs = ATTACH_INTERVAL_US;
  #lookUs: TimeUs = 0;
  /** The session B has offered. */
  #offered = 0;
  /** Sessions of which B can still say that they are over. */
  readonly #ended = new Set<number>();
  #resetUs: TimeUs = 0;
  /** Links whose ATTACH under the present keys has no answer yet. */
  readonly #unattached = new Set<number>();
  readonly #addresses: Addresses;

  constructor(tunnel: Tunnel, arena: Arena, events: EventQueue, addresses: Addresses) {
    this.#addresses = addresses;
    this.#tunnel = tunnel;
    this.#arena = arena;
    this.#events = events;
    this.#id = events.register(this);
    this.#links = tunnel.a.bond.links.length;
    const ignore = () => {};
    const plainAtA = (nowUs: TimeUs, link: number, slot: number) => this.#atA(nowUs, link, slot);
    const misses = (link: number, slot: number) => addresses.misses(link, slot);
    tunnel.a.keeper = { plain: plainAtA, foreign: ignore, misses };
    tunnel.b.keeper = {
      plain: (nowUs, link, slot) => this.#atB(nowUs, link, slot),
      foreign: (nowUs, link, slot) => this.#strange(nowUs, link, slot),
      heard: (nowUs, link, slot) => addresses.heard(nowUs, link, slot),
    };
    events.set(this.#id, 0);
  }

  kill(portal: Portal, remembers: boolean): void {
    if (portal === this.#tunnel.b) {
      this.#offered = 0;
      if (remembers) this.#ended.add(portal.session);
    }
    this.buried += portal.bond.egress.queue.packets;
    this.#bury(portal);
    portal.kill();
  }

  #bury(portal: Portal): void {
    for (const { outboxCount } of portal.bond.links) this.buried += outboxCount;
  }

  start(nowUs: TimeUs, portal: Portal): void {
    portal.start();
    for (let number = 0; number < this.#links; number += 1) {
      portal.bond.add(this.#tunnel.makeLink(number));
    }
    if (portal === this.#tunnel.a) this.#ask(nowUs);
  }

  /** A asks for new keys, unless it asks for a session already. */
  rekey(nowUs: TimeUs): void {
    const { a } = this.#tunnel;
    if (a.state === "running" && a.session !== 0 && this.#asked === 0) this.#ask(nowUs);
  }

  /** What A does by time. */
  wake(nowUs: TimeUs): void {
    const { a } = this.#tunnel;
    if (a.state === "running") {
      if (this.#asked !== 0 && this.#askUs <= nowUs) this.#ask(nowUs);
      if (this.#attachUs <= nowUs) this.#attach(nowUs);
      if (this.#lookUs <= nowUs) this.#look(nowUs);
    }
    const nextUs = Math.min(this.#askUs, this.#attachUs, this.#lookUs);
    this.#events.set(this.#id, Math.max(nextUs, nowUs + 1 * MS));
  }

  #look(nowUs: TimeUs): void {
    this.#lookUs = nowUs + LOOK_EVERY_US;
    if (this.#asked !== 0) return;
    const clockUs = this.#tunnel.a.clock(nowUs);
    const attached = this.#tunnel.a.bond.links.filter(({ life }) => life.tag !== "connecting");
    const silent = ({ life }: Link) =>
      life.tag === "down" && clockUs - life.sinceUs > RENEW_AFTER_US;
    const over =
      attached.length > 0 ? attached.every(silent) : nowUs - this.renewedUs > UNATTACHED_US;
    if (over) this.#ask(nowUs);
  }

  /** Once, and again until somebody answers. */
  #ask(nowUs: TimeUs): void {
    if (this.#asked === 0) {
      this.#last += 1;
      this.#asked = this.#last;
    }
    this.#askUs = nowUs + INIT_INTERVAL_US;
    this.#events.setEarlier(this.#id, this.#askUs);
    const { a } = this.#tunnel;
    for (let number = 0; number < this.#links; number += 1) {
      this.#send(nowUs, a, number, TYPE.init, this.#asked, a.session);
    }
  }

  /** Every link that has no answer yet. */
  #attach(nowUs: TimeUs): void {
    const { a } = this.#tunnel;
    const missing = a.bond.links.filter(({ number }) => this.#unattached.has(number));
    this.#attachUs = missing.length === 0 ? NEVER : nowUs + this.#attachIntervalUs;
    this.#attachIntervalUs = Math.min(2 * this.#attachIntervalUs, ATTACH_INTERVAL_MAX_US);
    this.#events.setEarlier(this.#id, this.#attachUs);
    for (const { number } of missing) this.#send(nowUs, a, number, TYPE.attach, a.session, 0);
  }

  #atA(nowUs: TimeUs, link: number, slot: number): void {
    const { a } = this.#tunnel;
    const [session, known] = this.#read(slot);
    switch (typeOf(this.#arena, slot)) {
      case TYPE.resp:
        if (session === this.#asked) this.#established(nowUs, session, known);
        break;
      case TYPE.response:
        if (session !== a.session) break;
        this.#unattached.delete(link);
        a.bond.link(link)?.attach(a.clock(nowUs));
        a.kick();
        break;
      case TYPE.challenge:
        this.#addresses.take(nowUs, link, slot);
        break;
      case TYPE.reset:
        if (session === a.session && this.#asked === 0) this.#ask(nowUs);
        break;
    }
  }

  #established(nowUs: TimeUs, session: number, known: number): void {
    const { a } = this.#tunnel;
    this.#asked = 0;
    this.#askUs = NEVER;
    // Both still know each other: new keys, and nothing begins anew.
    if (known !== 0 && known === a.session) this.rekeys += 1;
    else this.#renew(nowUs, a, session);
    for (const { number } of a.bond.links) this.#unattached.add(number);
    this.#attachIntervalUs = ATTACH_INTERVAL_US;
    this.#attach(nowUs);
  }

  #atB(nowUs: TimeUs, link: number, slot: number): void {
    const { b } = this.#tunnel;
    const [session, known] = this.#read(slot);
    switch (typeOf(this.#arena, slot)) {
      case TYPE.init: {
        const continued = known !== 0 && known === b.session;
        if (!continued) this.#offered = session;
        const bond = continued ? known : 0;
        this.#send(nowUs, b, link, TYPE.resp, session, bond, this.#addresses.of(slot));
        break;
      }
      case TYPE.attach:
        if (session === this.#offered && session !== b.session) this.#renew(nowUs, b, session);
        if (session !== b.session) break;
        this.#addresses.settle(nowUs, link, this.#addresses.of(slot));
        b.bond.link(link)?.attach(b.clock(nowUs));
        b.kick();
        this.#send(nowUs, b, link, TYPE.response, session, 0);
        break;
      case TYPE.response:
        this.#addresses.take(nowUs, link, slot);
        break;
    }
  }

  /** A message of a session that B does not have. */
  #strange(nowUs: TimeUs, link: number, slot: number): void {
    const session = this.#arena.context[slot] as number;
    if (!this.#ended.has(session) || nowUs < this.#resetUs) return;
    this.#resetUs = nowUs + RESET_EVERY_US;
    this.#send(nowUs, this.#tunnel.b, link, TYPE.reset, session, 0, this.#addresses.of(slot));
  }

  #renew(nowUs: TimeUs, portal: Portal, session: number): void {
    this.renewals += 1;
    this.renewedUs = nowUs;
    this.#bury(portal);
    const links = Array.from({ length: this.#links }, (_, number) => this.#tunnel.makeLink(number));
    portal.renew(session, links);
  }

  #send(
    nowUs: TimeUs,
    from: Portal,
    link: number,
    type: number,
    session: number,
    known: number,
    address?: number,
  ): void {
    const arena = this.#arena;
    const slot = takeSlot(arena);
    const at = arena.start[slot] as number;
    arena.view.setUint32(at, type << 28);
    arena.view.setUint32(at + AT.session, session);
    arena.view.setUint32(at + AT.known, known);
    arena.length[slot] = MESSAGE_OCTETS;
    from.sendPlain(nowUs, link, slot, address);
  }

  #read(slot: number): [session: number, known: number] {
    const at = this.#arena.start[slot] as number;
    const { view } = this.#arena;
    return [view.getUint32(at + AT.session), view.getUint32(at + AT.known)];
  }
}
