/**
 * The addresses of A's links in an emulated world, and B's knowledge of them. A translation forgets, or A goes to
 * another network: what A sends has another source from then on, what is sent to the old one is lost, and the real
 * `LinkHome` finds out at B, by challenges that travel the paths.
 */
import { type Arena, PATH_OCTETS } from "../../../src/core/arena.ts";
import { PATH_AT, type Path } from "../../../src/core/path.ts";
import type { SeededRandom } from "../../../src/core/random.ts";
import { MS, NEVER, type TimeUs } from "../../../src/core/time.ts";
import { sessionCounters } from "../../../src/session/effects.ts";
import { LinkHome } from "../../../src/session/link-home.ts";
import { NONCE_OCTETS } from "../../../src/wire/attach.ts";
import { PREAMBLE_OCTETS, TYPE, typeOf } from "../../../src/wire/preamble.ts";
import type { EventQueue, Process } from "../events.ts";
import { takeSlot } from "../packets.ts";
import { CARRIAGE_OCTETS } from "../sockets.ts";
import type { Tunnel } from "../tunnel.ts";

/** A process that sleeps looks at its checks so late. */
const ASLEEP_US = 10 * MS;

export class Addresses implements Process {
  /** Links that B has followed to another address. */
  moves = 0;
  readonly #tunnel: Tunnel;
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #random: SeededRandom;
  readonly #id: number;
  readonly #counters = sessionCounters();
  /** By link. */
  readonly #homes: LinkHome[] = [];

  constructor(tunnel: Tunnel, arena: Arena, events: EventQueue, random: SeededRandom) {
    this.#tunnel = tunnel;
    this.#arena = arena;
    this.#events = events;
    this.#random = random;
    this.#id = events.register(this);
    for (const { number } of tunnel.b.bond.links) this.settle(0, number, 0);
  }

  /** A's link has another address. */
  change(link: number): void {
    this.#tunnel.a.sockets.addresses[link] = 1 + (this.#tunnel.a.sockets.addresses[link] as number);
  }

  /** The address the message came from at B, or was sent to at A. */
  of(slot: number): number {
    return this.#arena.paths[slot * PATH_OCTETS + PATH_AT.remote] as number;
  }

  /** Nobody is there any more to whom this message was sent. */
  misses(link: number, slot: number): boolean {
    return this.of(slot) !== this.#tunnel.a.sockets.addresses[link];
  }

  /** A has proven at B by ATTACH that it is at this address. */
  settle(nowUs: TimeUs, link: number, address: number): void {
    const path = pathOf(address);
    let asked: Uint8Array = new Uint8Array(NONCE_OCTETS);
    let settled = false;
    const home = new LinkHome({
      random: this.#random.octets,
      counters: this.#counters,
      challenge: (to, _echo, nonce) => {
        if (settled) this.#challenge(link, to, nonce);
        else asked = nonce;
      },
      settled: (before, now) => this.#settled(link, before, now),
      rerouted: () => {},
    });
    this.#homes[link] = home;
    home.attach(nowUs, asked, path);
    home.response(nowUs, asked, path);
    settled = true;
  }

  /** DATA of the present session came to B; only what is newer than all before may move a link. */
  heard(nowUs: TimeUs, link: number, slot: number): void {
    const { b } = this.#tunnel;
    if (this.of(slot) === b.sockets.addresses[link]) return;
    const largest = b.bond.link(link)?.receipts.largest ?? Number.POSITIVE_INFINITY;
    if ((this.#arena.seq[slot] as number) <= largest) return;
    const octets = (this.#arena.length[slot] as number) + CARRIAGE_OCTETS;
    this.#homes[link]?.sourceDiffers(nowUs, pathOf(this.of(slot)), octets, null);
    this.#arm(nowUs);
  }

  /** CHALLENGE came to A, RESPONSE to B. */
  take(nowUs: TimeUs, link: number, slot: number): void {
    const arena = this.#arena;
    const at = (arena.start[slot] as number) + PREAMBLE_OCTETS;
    const nonce = arena.octets.slice(at, at + NONCE_OCTETS);
    if (typeOf(arena, slot) === TYPE.challenge) {
      const answer = this.#message(TYPE.response, nonce);
      this.#tunnel.a.sendPlain(nowUs, link, answer);
      return;
    }
    this.#homes[link]?.response(nowUs, nonce, pathOf(this.of(slot)));
    this.#arm(nowUs);
  }

  wake(nowUs: TimeUs): void {
    const asleep = this.#tunnel.b.state !== "running";
    if (!asleep) for (const home of this.#homes) home.timeout(nowUs);
    this.#arm(nowUs, asleep ? ASLEEP_US : 0);
  }

  #arm(nowUs: TimeUs, leastUs = 0): void {
    const dueUs = Math.min(NEVER, ...this.#homes.map((home) => home.deadlineUs(nowUs)));
    this.#events.set(this.#id, Math.max(dueUs, nowUs + leastUs));
  }

  #settled(link: number, before: Path | null, now: Path): void {
    const { b } = this.#tunnel;
    b.sockets.addresses[link] = now[PATH_AT.remote] as number;
    if (before === null) return;
    this.moves += 1;
    b.bond.link(link)?.sender.moved();
    b.kick();
  }

  #challenge(link: number, to: Path, nonce: Uint8Array): void {
    const slot = this.#message(TYPE.challenge, nonce);
    this.#tunnel.b.sendPlain(this.#events.nowUs, link, slot, to[PATH_AT.remote] as number);
  }

  #message(type: number, nonce: Uint8Array): number {
    const arena = this.#arena;
    const slot = takeSlot(arena);
    const at = arena.start[slot] as number;
    arena.view.setUint32(at, type << 28);
    arena.octets.set(nonce, at + PREAMBLE_OCTETS);
    arena.length[slot] = PREAMBLE_OCTETS + NONCE_OCTETS;
    return slot;
  }
}

function pathOf(address: number): Path {
  const path = new Uint8Array(PATH_OCTETS);
  path[PATH_AT.remote] = address;
  return path;
}
