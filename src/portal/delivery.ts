/** What bonds have set free goes to the TUN in batches, as far as its peer may send it. */
import type { Arena } from "../core/arena.ts";
import type { Engine, Handle } from "../native/native.ts";
import type { DataPathOwner } from "./owner.ts";
import type { Peer } from "./peer.ts";

const BATCH = 256;

export class Delivery {
  /** -1: there is none (any more), and what comes is dropped. */
  tun: Handle = -1;
  readonly #engine: Engine;
  readonly #arena: Arena;
  readonly #owner: Pick<DataPathOwner, "admits">;
  readonly #drops: { sourceDenied: number };
  readonly #batch = new Int32Array(BATCH);
  #count = 0;

  constructor(
    engine: Engine,
    arena: Arena,
    owner: Pick<DataPathOwner, "admits">,
    drops: { sourceDenied: number },
  ) {
    this.#engine = engine;
    this.#arena = arena;
    this.#owner = owner;
    this.#drops = drops;
  }

  /** Takes over what a peer's bond has set free. */
  deliver(peer: Peer): void {
    const { arrived } = peer.bond;
    for (let index = 0; index < arrived.readyCount; index += 1) {
      const slot = arrived.ready[index] as number;
      if (!this.#owner.admits(peer, slot)) {
        this.#drops.sourceDenied += 1;
        this.#arena.give(slot);
        continue;
      }
      if (this.#count === BATCH) this.write();
      this.#batch[this.#count] = slot;
      this.#count += 1;
    }
    arrived.readyCount = 0;
  }

  /** Writes what is left of a batch. */
  write(): void {
    const count = this.#count;
    if (count === 0) return;
    if (this.tun >= 0) this.#engine.writeTun(this.tun, this.#batch, count);
    for (let index = 0; index < count; index += 1) this.#arena.give(this.#batch[index] as number);
    this.#count = 0;
  }
}
