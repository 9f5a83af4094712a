/**
 * What goes into the TUN, in batches: what bonds have set free, as far as its peer may send it, and what the portal
 * itself has to say to inner senders.
 */
import type { Arena } from "../core/arena.ts";
import type { Engine, Handle } from "../native/native.ts";
import { InnerHeader, readInner } from "../wire/inner.ts";
import { clampMss, isSyn } from "../wire/mss.ts";
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
  readonly #header = new InnerHeader();
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
      if (isSyn(this.#arena, slot)) this.#clamp(peer, slot);
      this.put(slot);
    }
    arrived.readyCount = 0;
  }

  /** Takes over one packet. */
  put(slot: number): void {
    if (this.#count === BATCH) this.write();
    this.#batch[this.#count] = slot;
    this.#count += 1;
  }

  /** Writes what is left of a batch. */
  write(): void {
    const count = this.#count;
    if (count === 0) return;
    if (this.tun >= 0) this.#engine.writeTun(this.tun, this.#batch, count);
    for (let index = 0; index < count; index += 1) this.#arena.give(this.#batch[index] as number);
    this.#count = 0;
  }

  /** What the sender of a SYN says it takes is what it will be sent, our way. */
  #clamp(peer: Peer, slot: number): void {
    readInner(this.#arena, slot, this.#header);
    clampMss(this.#arena, slot, this.#header, peer.innerMtu);
  }
}
