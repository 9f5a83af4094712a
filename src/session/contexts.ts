/**
 * Which context number stands for what, and which 24-bit ids are taken. Ids are random, so that they
 * tell an observer nothing and an outsider does not hit one by trying; context numbers count up and
 * are never used twice.
 */
import { assert } from "../core/assert.ts";
import type { RandomOctets } from "../core/random.ts";
import { readUint24 } from "../wire/message.ts";

/** With the most links a portal may have one try fails once in a hundred times. */
const TRIES_MAX = 32;

export class Contexts<Binding> {
  readonly #random: RandomOctets;
  readonly #bindings = new Map<number, Binding>();
  readonly #ids = new Set<number>();
  #next = 1;

  constructor(random: RandomOctets) {
    this.#random = random;
  }

  get size(): number {
    return this.#bindings.size;
  }

  get(context: number): Binding | undefined {
    return this.#bindings.get(context);
  }

  /** A new context number, to be bound. */
  takeNumber(): number {
    const context = this.#next;
    this.#next += 1;
    return context;
  }

  /** Says what a context stands for; a pending handshake becomes a session, for one. */
  bind(context: number, binding: Binding): void {
    this.#bindings.set(context, binding);
  }

  release(context: number): void {
    this.#bindings.delete(context);
  }

  /** A random id that nobody has; never 0. */
  takeId(): number {
    for (let tries = 0; ; tries += 1) {
      assert(tries < TRIES_MAX, "24 bits are enough for all links");
      const id = readUint24(this.#random(3), 0);
      if (id !== 0 && this.reserveId(id)) return id;
    }
  }

  /** False when it is taken. */
  reserveId(id: number): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    return true;
  }

  freeId(id: number): void {
    this.#ids.delete(id);
  }
}
