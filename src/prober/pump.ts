/** The event loop of a probe: sockets that are ready, messages that came, one timer. */
import type { Arena } from "../core/arena.ts";
import type { TimeUs } from "../core/time.ts";
import { type Engine, type Handle, READY, TIMER_HANDLE } from "../native/native.ts";

const READY_MAX = 64;
const BATCH = 64;
/** Batches from one socket before others have their turn. */
const CALLS_MAX = 16;
/** Looks at what is ready before the event loop has its turn. */
const ROUNDS_MAX = 16;

export interface PumpOwner {
  /** Connections wait on this socket; false: it is no listener. */
  onAccept(nowUs: TimeUs, handle: Handle): boolean;
  /** An authenticated message is in `slot`, which stays the pump's. */
  onMessage(nowUs: TimeUs, handle: Handle, slot: number): void;
  onWritable(nowUs: TimeUs, handle: Handle): void;
  /** After what was received before it. */
  onError(nowUs: TimeUs, handle: Handle): void;
  /** After every wake-up: what is due leaves. */
  tick(nowUs: TimeUs): void;
  deadlineUs(): TimeUs;
}

export class Pump {
  readonly #engine: Engine;
  readonly #arena: Arena;
  readonly #owner: PumpOwner;
  readonly #ready = new Int32Array(2 * READY_MAX);
  readonly #batch = new Int32Array(BATCH);
  #held = 0;

  constructor(engine: Engine, arena: Arena, owner: PumpOwner) {
    this.#engine = engine;
    this.#arena = arena;
    this.#owner = owner;
  }

  start(): void {
    this.#engine.watch(this.#ready, (count) => this.#onReady(count));
    this.wake();
  }

  /** Something changed outside: does what is due and sets the timer anew. */
  wake(): void {
    this.#owner.tick(this.#engine.nowUs());
    this.#engine.setTimer(this.#owner.deadlineUs());
  }

  #onReady(first: number): void {
    let count = first;
    for (let round = 0; count > 0 && round < ROUNDS_MAX; round += 1) {
      for (let index = 0; index < count; index += 1) {
        this.#serve(this.#ready[2 * index] as number, this.#ready[2 * index + 1] as number);
      }
      this.#owner.tick(this.#engine.nowUs());
      count = this.#engine.watchNow();
    }
    this.wake();
  }

  #serve(handle: Handle, events: number): void {
    if (handle === TIMER_HANDLE) return;
    const nowUs = this.#engine.nowUs();
    if ((events & READY.readable) !== 0 && this.#owner.onAccept(nowUs, handle)) return;
    // What came before an error is heard before it.
    if ((events & READY.readable) !== 0) this.#receive(handle);
    if ((events & READY.error) !== 0) this.#owner.onError(nowUs, handle);
    else if ((events & READY.writable) !== 0) this.#owner.onWritable(nowUs, handle);
  }

  #receive(handle: Handle): void {
    for (let call = 0; call < CALLS_MAX; call += 1) {
      const nowUs = this.#engine.nowUs();
      this.#held = this.#arena.fill(this.#batch, this.#held, BATCH);
      const capacity = this.#held;
      const count = this.#engine.receive(handle, this.#batch, capacity);
      for (let index = 0; index < count; index += 1) {
        const slot = this.#batch[index] as number;
        this.#owner.onMessage(nowUs, handle, slot);
        this.#arena.give(slot);
      }
      this.#batch.copyWithin(0, count, capacity);
      this.#held = capacity - count;
      if (count < capacity) return;
    }
  }
}
