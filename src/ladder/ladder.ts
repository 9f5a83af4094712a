/**
 * The ladder: which transport carries this portal's DATA of one link. Each portal has one a link and chooses for its
 * own sending direction. It sends HELLOs by every transport, learns from the peer's which of them were seen,
 * climbs to a better transport when that passes a trial, and steps down on authenticated evidence only.
 *
 * Drive it so: tell it what happened, then `poll` until null and `takeSwitch` until null, then call again at
 * `deadlineUs`. No socket, clock or key: HELLO bodies go out of `poll`, the caller seals and sends them.
 */
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { TRANSPORTS, type Transport, transportNumber } from "../core/transport.ts";
import { CARRIES_NONE, encodeHello, HELLO_OCTETS, type Hello } from "../wire/hello.ts";
import { Hearing } from "./hearing.ts";
import type { LadderOptions, LadderStatus, SwitchCause, TransportSwitch } from "./status.ts";

export type {
  LadderOptions,
  LadderStatus,
  RungStatus,
  SwitchCause,
  TransportSwitch,
} from "./status.ts";

const CANARY_US = 5 * SECOND;

export class Ladder {
  /** Messages with a bad tag that this portal refused on this link so far: the caller keeps it up to date. */
  badTags = 0;
  readonly #options: LadderOptions;
  readonly #usable = TRANSPORTS.map(() => false);
  readonly #hearing = TRANSPORTS.map(() => new Hearing());
  readonly #nonces = TRANSPORTS.map(() => 0);
  readonly #numbers = TRANSPORTS.map(() => 0);
  readonly #dueUs: TimeUs[] = TRANSPORTS.map(() => NEVER);
  readonly #switches: TransportSwitch[] = [];
  #current: Transport | null = null;
  #sinceUs: TimeUs | null = null;
  #lastCause: SwitchCause | null = null;
  #switchCount = 0;

  constructor(options: LadderOptions) {
    this.#options = options;
  }

  /** What carries our DATA; null: nothing does (yet), send none. */
  get current(): Transport | null {
    return this.#current;
  }

  /** By transport number: the socket is open, or the peer's path is known. */
  get usable(): readonly boolean[] {
    return this.#usable;
  }

  /** Local: a TCP connection is wanted now; false: one that carries nothing may be closed. */
  get wantsTcp(): boolean {
    const { role, allowed } = this.#options;
    return role === "local" && allowed.includes("tcp") && !(this.#usable[0] || this.#usable[1]);
  }

  /** The session attached the link by `transport`: its path is proven. It carries if nothing did. */
  attached(nowUs: TimeUs, transport: Transport): void {
    if (!this.#usable[transportNumber(transport)]) this.open(nowUs, transport);
    if (this.#current === null) this.#switchTo(nowUs, transport, "attached");
  }

  /**
   * Its socket is open or connected; Remote: the peer's path of this transport is known. Called again when that
   * path changed: what was proven is void, and a new nonce goes out.
   */
  open(nowUs: TimeUs, transport: Transport): void {
    const index = transportNumber(transport);
    if (!this.#options.allowed.includes(transport)) return;
    this.#usable[index] = true;
    this.#dueUs[index] = nowUs;
    this.#nonces[index] = new DataView(this.#options.random(4).buffer).getUint32(0) || 1;
  }

  /** The socket, connection or path is gone. */
  close(nowUs: TimeUs, transport: Transport): void {
    const index = transportNumber(transport);
    this.#usable[index] = false;
    this.#dueUs[index] = NEVER;
    if (this.#current !== transport) return;
    const next = this.#options.allowed.find((other) => this.#usable[transportNumber(other)]);
    if (next === undefined) this.#current = null;
    else this.#switchTo(nowUs, next, "closed");
  }

  /** Our device, address or route changed: what failed before may work now, and is tried at once. */
  pathChanged(nowUs: TimeUs): void {
    this.#usable.forEach((usable, index) => {
      if (usable) this.#dueUs[index] = nowUs;
    });
  }

  /** An ICMP error named it. Anybody can forge one: HELLOs go out now instead of later, no more. */
  hint(nowUs: TimeUs, transport: Transport): void {
    this.#dueUs[transportNumber(transport)] = nowUs;
  }

  /** DATA went unanswered for max(3 RTT, 200 ms). Once a silence. */
  silent(_nowUs: TimeUs): void {}

  /** DATA was acknowledged: there is no silence (any more). */
  heard(_nowUs: TimeUs): void {}

  /** Packets of DATA newly declared lost, and acknowledged, on `current`. */
  loss(_nowUs: TimeUs, _lost: number, _acked: number): void {}

  /** A HELLO of the peer, genuine and no replay, came by `transport`. */
  receive(nowUs: TimeUs, transport: Transport, hello: Hello): void {
    const index = transportNumber(transport);
    this.#hearing[index]?.heard(nowUs, hello.number, hello.nonce);
    if (!hello.ask) return;
    this.pathChanged(nowUs);
  }

  /** The HELLO to send now: a CONTROL body and what to send it by. Call until null. */
  poll(nowUs: TimeUs): { transport: Transport; body: Uint8Array } | null {
    const index = this.#dueUs.findIndex((dueUs) => dueUs <= nowUs);
    const transport = TRANSPORTS[index];
    if (transport === undefined) return null;
    this.#dueUs[index] = nowUs + CANARY_US;
    const number = (this.#numbers[index] ?? 0) + 1;
    this.#numbers[index] = number;
    const body = encodeHello({
      ...{ transport: index, ask: false, full: false, number, octets: HELLO_OCTETS },
      carries: this.#current === null ? CARRIES_NONE : transportNumber(this.#current),
      nonce: this.#nonces[index] ?? 0,
      badTags: this.badTags,
      seen: this.#hearing.map(({ seen }) => seen),
    });
    return { transport, body };
  }

  /** When `poll` has something to do; Infinity: when something happens. */
  deadlineUs(): TimeUs {
    return Math.min(...this.#dueUs);
  }

  /** The oldest change of `current` not told yet. A loss of every transport is none: see `current`. */
  takeSwitch(): TransportSwitch | null {
    return this.#switches.shift() ?? null;
  }

  status(_nowUs: TimeUs): LadderStatus {
    return {
      current: this.#current,
      sinceUs: this.#sinceUs,
      transports: this.#options.allowed.map((transport) => {
        const index = transportNumber(transport);
        const usable = this.#usable[index] ?? false;
        const heardUs = this.#hearing[index]?.lastUs ?? Number.NEGATIVE_INFINITY;
        const lastHeardUs = Number.isFinite(heardUs) ? heardUs : null;
        return { transport, usable, works: "unknown", lastHeardUs, retryUs: null };
      }),
      peer: null,
      switches: this.#switchCount,
      lastCause: this.#lastCause,
    };
  }

  #switchTo(nowUs: TimeUs, to: Transport, cause: SwitchCause): void {
    this.#switches.push({ from: this.#current, to, cause });
    if (cause !== "attached") this.#switchCount += 1;
    this.#current = to;
    this.#sinceUs = nowUs;
    this.#lastCause = cause;
  }
}
