/**
 * One end of an emulated tunnel: a real bond driven as `src/portal/datapath.ts` drives it (batch in,
 * deliver, tick, pull and drain, one timer), with pipes for sockets and traffic models for a TUN.
 */
import { Bond } from "../../src/bond/bond.ts";
import type { Arena } from "../../src/core/arena.ts";
import type { SeededRandom } from "../../src/core/random.ts";
import { NEVER, type TimeUs } from "../../src/core/time.ts";
import type { Link } from "../../src/link/link.ts";
import { TYPE, typeOf } from "../../src/wire/preamble.ts";
import { Delivery } from "./delivery.ts";
import type { Endpoint, Keeper, Outlet, Source, Witness } from "./ends.ts";
import type { EventQueue, Process } from "./events.ts";
import { Inbox } from "./inbox.ts";
import type { Pipe, Receiver } from "./pipe.ts";
import { Replays } from "./replays.ts";
import { Sockets } from "./sockets.ts";

/** Messages taken in before what they set free is delivered. */
const BATCH = 128;

export interface PortalOptions {
  readonly arena: Arena;
  readonly events: EventQueue;
  readonly random: SeededRandom;
  /** Timers are late by a random time up to this. */
  readonly timerNoiseUs: number;
  /** What its clock shows at time 0; default 0. */
  readonly clockUs?: number;
}

export class Portal implements Process, Outlet {
  bond: Bond;
  /** What its clock shows more than the world's. */
  clockAheadUs: number;
  /** The session to which what it sends belongs; 0: none. */
  session = 1;
  /** `asleep`: the process does not run, and what comes waits in the kernel. */
  state: "running" | "asleep" | "dead" = "running";
  /** Of what goes into this TUN, and comes out of it. */
  witness: Witness | undefined;
  keeper: Keeper | undefined;
  /** The TUN is there; without it inner packets go nowhere. */
  tunOpen = true;
  /** Wake-ups in a row after which something was due still. */
  overdue = 0;
  /** Called at the end of every wake-up. */
  onSettled: (nowUs: TimeUs) => void = () => {};
  readonly #options: PortalOptions;
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #sources: Source[] = [];
  readonly sockets: Sockets;
  readonly #delivery: Delivery;
  readonly #inbox: Inbox;
  /** What it learns when it runs again. */
  readonly #news: (() => void)[] = [];
  #replays: Replays | undefined;
  #deadlineUs: TimeUs = NEVER;
  #timerUs: TimeUs = NEVER;
  #settling = false;
  #untaken = 0;

  constructor(options: PortalOptions) {
    this.#options = options;
    this.#arena = options.arena;
    this.#events = options.events;
    this.#id = options.events.register(this);
    this.bond = new Bond(options.arena);
    this.clockAheadUs = options.clockUs ?? 0;
    this.#inbox = new Inbox(options.arena);
    this.sockets = new Sockets(options.arena);
    this.#delivery = new Delivery(options.arena);
  }

  /** Mixed from every delivered packet and its moment: equal for equal runs. */
  get hash(): number {
    return this.#delivery.hash;
  }

  /** What this portal's clock shows. */
  clock(nowUs: TimeUs): TimeUs {
    return nowUs + this.clockAheadUs;
  }

  /** Adds a link that sends into `pipe`; returns the receiver of what comes back on it. */
  add(link: Link, pipe: Pipe, port: number): void {
    this.bond.add(link);
    this.sockets.open(link.number, pipe, port);
  }

  /** The end of the pipe that brings packets to this link. */
  receiver(number: number): Receiver {
    return {
      arrive: (nowUs, slot, trafficClass) => this.#arrive(nowUs, number, slot, trafficClass),
      settle: (nowUs) => this.#settle(nowUs),
    };
  }

  /** Packets for this port go to the endpoint. */
  bind(port: number, endpoint: Endpoint): void {
    this.#delivery.bind(port, endpoint);
  }

  addSource(source: Source): void {
    this.#sources.push(source);
    this.kick();
  }

  removeSource(source: Source): void {
    const at = this.#sources.indexOf(source);
    if (at >= 0) this.#sources.splice(at, 1);
  }

  /** Messages that come twice are refused from now on: for worlds whose paths copy them. */
  refuseReplays(): void {
    this.#replays ??= new Replays();
  }

  /** A new session: all links begin anew, and none is attached. What waits in the queue stays. */
  renew(session: number, links: readonly Link[]): void {
    this.session = session;
    this.bond.reset();
    for (const link of links) this.bond.add(link);
    if (this.#replays !== undefined) this.#replays = new Replays();
    this.kick();
  }

  /** The process dies with all it knows. */
  kill(): void {
    this.state = "dead";
    this.session = 0;
    this.bond.reset();
    this.bond.egress.queue.clear();
    this.#inbox.clear();
    this.#news.length = 0;
    this.#events.set(this.#id, NEVER);
  }

  /** A new process. */
  start(): void {
    this.state = "running";
    this.bond = new Bond(this.#arena);
    this.kick();
  }

  /** The process does not run. `messagesMax`: what its sockets hold meanwhile. */
  suspend(messagesMax: number): void {
    if (this.state !== "running") return;
    this.state = "asleep";
    this.#inbox.messagesMax = messagesMax;
    this.#events.set(this.#id, NEVER);
  }

  /** The process runs again, and finds everything at once. */
  resume(nowUs: TimeUs): void {
    if (this.state !== "asleep") return;
    this.state = "running";
    for (const news of this.#news.splice(0)) news();
    this.#inbox.empty(
      (link, slot, trafficClass) => this.#arrive(nowUs, link, slot, trafficClass),
      (slot) => this.send(nowUs, slot),
    );
    this.kick();
  }

  /** Something that its kernel or its peer tells: heard at once, or when it runs again; a dead one hears nothing. */
  tell(news: () => void): void {
    if (this.state === "asleep") this.#news.push(news);
    else if (this.state === "running") {
      news();
      this.kick();
    }
  }

  /** The socket of this link takes nothing more, or takes packets again. */
  clog(number: number, clogged: boolean): void {
    if (clogged) this.sockets.clog(number);
    else if (this.sockets.unclog(number)) {
      const link = this.bond.link(number);
      if (link !== undefined) link.blocked = false;
      this.kick();
    }
  }

  /** A message of the session's goes out on the link, to its address or to this one; takes the slot over. */
  sendPlain(nowUs: TimeUs, number: number, slot: number, address?: number): void {
    this.sockets.sendPlain(nowUs, number, slot, address);
  }

  /** An inner packet comes out of the TUN. */
  send(nowUs: TimeUs, slot: number): void {
    if (this.state === "dead" || !this.tunOpen) this.#arena.give(slot);
    else if (this.state === "asleep") this.#inbox.inner(slot);
    else {
      this.witness?.entered(nowUs, slot);
      this.bond.enqueue(this.clock(nowUs), slot);
      this.kick();
    }
  }

  /** Something was put in: look at it at this very moment, after what else happens now. */
  kick(): void {
    if (this.#settling || this.state !== "running") return;
    this.#events.setEarlier(this.#id, this.#events.nowUs);
  }

  wake(nowUs: TimeUs): void {
    this.#settle(nowUs);
  }

  #arrive(nowUs: TimeUs, number: number, slot: number, trafficClass: number): void {
    const arena = this.#arena;
    if (this.keeper?.misses?.(number, slot) === true) {
      arena.give(slot);
      return;
    }
    if (this.state === "asleep") {
      this.#inbox.message(number, slot, trafficClass);
      return;
    }
    const link = this.state === "dead" ? undefined : this.#linkOf(nowUs, number, slot);
    if (link === undefined) {
      arena.give(slot);
      return;
    }
    arena.info[slot] = trafficClass;
    if (typeOf(arena, slot) === TYPE.data) {
      this.bond.receive(this.clock(nowUs), link, slot);
    } else {
      this.bond.receiveFeedback(this.clock(nowUs), link, slot);
      arena.give(slot);
    }
    this.#untaken += 1;
    if (this.#untaken >= BATCH) this.#deliver(nowUs);
  }

  /** The link that takes the message in; undefined: it is the session's, of another session, or a copy. */
  #linkOf(nowUs: TimeUs, number: number, slot: number): Link | undefined {
    const type = typeOf(this.#arena, slot);
    const data = type === TYPE.data;
    if (!data && type !== TYPE.feedback) {
      this.keeper?.plain(nowUs, number, slot);
      return undefined;
    }
    if (this.#arena.context[slot] !== this.session) {
      this.keeper?.foreign(nowUs, number, slot);
      return undefined;
    }
    const fresh = this.#replays?.fresh(number, data, this.#arena.seq[slot] as number);
    if (fresh === false) return undefined;
    if (data) this.keeper?.heard?.(nowUs, number, slot);
    return this.bond.link(number);
  }

  #settle(nowUs: TimeUs): void {
    if (this.state !== "running") return;
    this.#settling = true;
    this.#deliver(nowUs);
    this.bond.tick(this.clock(nowUs));
    this.#deliver(nowUs);
    this.#flush(nowUs);
    this.#settling = false;
    this.#setTimer(nowUs);
    this.onSettled(nowUs);
  }

  #deliver(nowUs: TimeUs): void {
    this.#untaken = 0;
    const { arrived } = this.bond;
    for (let index = 0; index < arrived.readyCount; index += 1) {
      this.#delivery.hand(nowUs, arrived.ready[index] as number, this.witness);
    }
    arrived.readyCount = 0;
    this.#delivery.endBatch(nowUs);
  }

  #flush(nowUs: TimeUs): void {
    const { bond } = this;
    for (;;) {
      for (let index = 0; index < this.#sources.length; index += 1) {
        (this.#sources[index] as Source).refill(nowUs);
      }
      const more = bond.pull(this.clock(nowUs));
      let sent = 0;
      for (let index = 0; index < bond.links.length; index += 1) {
        const link = bond.links[index] as Link;
        sent += this.sockets.drain(nowUs, link, this.session, this.witness);
      }
      // Sources refill as long as links take what they put in.
      if (!more && (sent === 0 || this.#sources.length === 0)) return;
    }
  }

  #setTimer(nowUs: TimeUs): void {
    const ownUs = this.bond.deadlineUs(this.clock(nowUs)) - this.clockAheadUs;
    this.overdue = ownUs > nowUs ? 0 : this.overdue + 1;
    const deadlineUs = Math.max(ownUs, nowUs);
    if (deadlineUs !== this.#deadlineUs || this.#timerUs <= nowUs) {
      this.#deadlineUs = deadlineUs;
      const lateUs = Math.ceil(this.#options.random.next() * this.#options.timerNoiseUs);
      this.#timerUs = deadlineUs === NEVER ? NEVER : Math.ceil(deadlineUs) + lateUs;
    }
    this.#events.set(this.#id, this.#timerUs);
  }
}
