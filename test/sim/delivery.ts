/**
 * What comes out of a portal's TUN: each inner packet goes to the traffic model of its port, and after a batch the models
 * that got something are told once. Every delivery and its moment is mixed into a hash, equal for equal runs.
 */
import type { Arena } from "../../src/core/arena.ts";
import type { TimeUs } from "../../src/core/time.ts";
import type { Endpoint, Witness } from "./ends.ts";
import { destinationPortOf } from "./packets.ts";

export class Delivery {
  hash = 0x811c_9dc5;
  readonly #arena: Arena;
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #touched: Endpoint[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Packets for this port go to the endpoint. */
  bind(port: number, endpoint: Endpoint): void {
    this.#endpoints.set(port, endpoint);
  }

  /** Takes the slot over. */
  hand(nowUs: TimeUs, slot: number, witness: Witness | undefined): void {
    const at = this.#arena.start[slot] as number;
    const number = this.#arena.view.getUint32(at + 24) ^ this.#arena.view.getUint32(at + 28);
    this.hash = Math.imul(this.hash ^ nowUs, 0x0100_0193) >>> 0;
    this.hash = Math.imul(this.hash ^ number, 0x0100_0193) >>> 0;
    witness?.emerged(nowUs, slot);
    const endpoint = this.#endpoints.get(destinationPortOf(this.#arena, slot));
    if (endpoint !== undefined) {
      if (!this.#touched.includes(endpoint)) this.#touched.push(endpoint);
      endpoint.receive(nowUs, slot);
    }
    this.#arena.give(slot);
  }

  endBatch(nowUs: TimeUs): void {
    for (let index = 0; index < this.#touched.length; index += 1) {
      (this.#touched[index] as Endpoint).endBatch(nowUs);
    }
    this.#touched.length = 0;
  }
}
