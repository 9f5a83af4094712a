/**
 * The sockets of an emulated portal: what a link has in its outbox goes into the link's pipe as a copy, as a kernel would
 * take it, for the bond may keep the original. A clogged socket takes nothing.
 */

import { LINKS_MAX } from "../../src/bond/scheduler.ts";
import { type Arena, PATH_OCTETS } from "../../src/core/arena.ts";
import { PATH_AT } from "../../src/core/path.ts";
import type { TimeUs } from "../../src/core/time.ts";
import type { Link } from "../../src/link/link.ts";
import { TYPE, typeOf } from "../../src/wire/preamble.ts";
import type { Witness } from "./ends.ts";
import { MEANING_OCTETS, takeSlot } from "./packets.ts";
import type { Pipe } from "./pipe.ts";

/** IPv4 header and tag. */
export const CARRIAGE_OCTETS = 30;

interface Carrier {
  readonly pipe: Pipe;
  readonly port: number;
}

export class Sockets {
  /** By link: A's own address, from which it sends; at B the one to which it sends. */
  readonly addresses = new Uint8Array(LINKS_MAX);
  readonly #arena: Arena;
  readonly #carriers: Carrier[] = [];
  readonly #clogged = new Set<number>();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The link of this number sends into `pipe`. */
  open(number: number, pipe: Pipe, port: number): void {
    this.#carriers[number] = { pipe, port };
  }

  /** The socket takes nothing more. */
  clog(number: number): void {
    this.#clogged.add(number);
  }

  /** The socket takes packets again. Returns whether it did not. */
  unclog(number: number): boolean {
    return this.#clogged.delete(number);
  }

  /** Takes the slot over: a message of the session's, which no link counts; to the link's address, or to this one. */
  sendPlain(nowUs: TimeUs, number: number, slot: number, address?: number): void {
    const { pipe, port } = this.#carriers[number] as Carrier;
    this.#address(slot, address ?? (this.addresses[number] as number));
    pipe.offer(nowUs, port, slot, (this.#arena.length[slot] as number) + CARRIAGE_OCTETS, 0);
  }

  /** Empties the link's outbox into its pipe; returns how many messages that were. */
  drain(nowUs: TimeUs, link: Link, session: number, witness: Witness | undefined): number {
    const count = link.outboxCount;
    if (count === 0) return 0;
    if (this.#clogged.has(link.number)) {
      link.blocked = true;
      return 0;
    }
    for (let index = 0; index < count; index += 1) {
      const slot = link.outbox[index] as number;
      if (typeOf(this.#arena, slot) === TYPE.data) witness?.left(nowUs, slot);
      this.#transmit(nowUs, link, slot, session);
    }
    link.drained(count);
    return count;
  }

  /** Copies what has a meaning. */
  #transmit(nowUs: TimeUs, link: Link, slot: number, session: number): void {
    const arena = this.#arena;
    const copy = takeSlot(arena);
    const { pipe, port } = this.#carriers[link.number] as Carrier;
    const length = arena.length[slot] as number;
    const from = arena.start[slot] as number;
    const to = arena.start[copy] as number;
    const data = typeOf(arena, slot) === TYPE.data;
    const meaning = data ? Math.min(length, MEANING_OCTETS) : length;
    arena.octets.copyWithin(to, from, from + meaning);
    arena.length[copy] = length;
    arena.seq[copy] = arena.seq[slot] as number;
    arena.context[copy] = session;
    this.#address(copy, this.addresses[link.number] as number);
    pipe.offer(nowUs, port, copy, length + CARRIAGE_OCTETS, link.trafficClass);
    arena.give(slot);
  }

  #address(slot: number, address: number): void {
    this.#arena.paths[slot * PATH_OCTETS + PATH_AT.remote] = address;
  }
}
