/**
 * The emulator's packet path: reads what the kernel forwards into a TUN device, keeps it as long as
 * its `EmulatedPath` says, and writes it back to the same device, from where the kernel forwards it
 * on. One arena and one timer for all paths of a process; plain packets of any protocol.
 */
import { Arena, SLOT_SIZE } from "../../src/core/arena.ts";
import { NEVER, type TimeUs } from "../../src/core/time.ts";
import { type Engine, type Handle, loadNative, TIMER_HANDLE } from "../../src/native/native.ts";
import { EmulatedPath } from "./path.ts";

/** 70 MB: 4 links x 100 Mbit/s both ways at 200 ms are 15 000 packets of 1400 octets. */
const SLOTS = 32_768;
/** Half of all slots, so that one path in trouble leaves room for the others. */
const PATH_PACKETS_MAX = SLOTS / 2;
const BATCH_SIZE = 256;
/**
 * Wake-ups are at least this far apart: a packet leaves up to this much late. Each wake-up serves
 * every path, so this bounds their number to 10 000 a second.
 */
const TICK_US = 100;
/** Turns of the loop before the event loop gets a chance (the control socket lives there). */
const TURNS_MAX = 16;

interface Tap {
  readonly handle: Handle;
  readonly path: EmulatedPath;
}

export class Relay {
  readonly #arena = new Arena(SLOTS);
  readonly #engine: Engine;
  readonly #taps: Tap[] = [];
  readonly #byHandle: (Tap | undefined)[] = [];
  readonly #ready = new Int32Array(2 * 64);
  readonly #in = new Int32Array(BATCH_SIZE);
  readonly #out = new Int32Array(BATCH_SIZE);
  /** Free slots at the front of `#in`. */
  #held = 0;

  constructor() {
    this.#engine = loadNative().createEngine(this.#arena.memory, this.#arena.slotCount);
    this.#engine.watch(this.#ready, (count) => this.#onReady(count));
  }

  /** Creates the TUN device `name`, whose packets take the returned path. */
  open(name: string, seed: number): EmulatedPath {
    const { handle } = this.#engine.openTun({ name, offload: false });
    const tap = { handle, path: new EmulatedPath(seed, PATH_PACKETS_MAX) };
    this.#taps.push(tap);
    this.#byHandle[handle] = tap;
    return tap.path;
  }

  close(): void {
    this.#engine.destroy();
  }

  #onReady(count: number): void {
    let pairs = count;
    for (let turn = 0; turn < TURNS_MAX && pairs > 0; turn += 1) {
      for (let index = 0; index < pairs; index += 1) this.#read(this.#ready[2 * index] as number);
      this.#release();
      pairs = this.#engine.watchNow();
    }
    this.#engine.setTimer(this.#nextWakeUs());
  }

  #read(handle: Handle): void {
    const tap = handle === TIMER_HANDLE ? undefined : this.#byHandle[handle];
    if (tap === undefined) return;
    this.#held = this.#arena.fill(this.#in, this.#held, BATCH_SIZE);
    const count = this.#engine.readTun(handle, this.#in, this.#held);
    const nowUs = this.#engine.nowUs();
    for (let index = 0; index < count; index += 1) {
      this.#arrive(tap.path, this.#in[index] as number, nowUs);
    }
    this.#in.copyWithin(0, count, this.#held);
    this.#held -= count;
  }

  #arrive(path: EmulatedPath, slot: number, nowUs: TimeUs): void {
    const verdict = path.judge();
    switch (verdict) {
      case "pass":
        path.enqueue(slot, nowUs, false);
        return;
      case "overtaken":
        path.enqueue(slot, nowUs, true);
        return;
      case "duplicate": {
        const copy = this.#copy(slot);
        path.enqueue(slot, nowUs, false);
        if (copy !== -1) path.enqueue(copy, nowUs, false);
        return;
      }
      default:
        this.#arena.give(slot);
    }
  }

  #copy(slot: number): number {
    const arena = this.#arena;
    const copy = arena.take();
    if (copy === -1) return -1;
    const from = arena.start[slot] as number;
    const length = arena.length[slot] as number;
    const to = copy * SLOT_SIZE + (from % SLOT_SIZE);
    arena.octets.copyWithin(to, from, from + length);
    arena.start[copy] = to;
    arena.length[copy] = length;
    return copy;
  }

  #release(): void {
    const nowUs = this.#engine.nowUs();
    for (const tap of this.#taps) {
      if (tap.path.deadlineUs() <= nowUs) this.#releaseTap(tap, nowUs);
    }
  }

  #releaseTap(tap: Tap, nowUs: TimeUs): void {
    const { cut } = tap.path;
    let count: number;
    do {
      count = 0;
      while (count < BATCH_SIZE) {
        const slot = tap.path.dequeue(nowUs);
        if (slot === -1) break;
        this.#out[count] = slot;
        count += 1;
      }
      if (!cut && count > 0) this.#engine.writeTun(tap.handle, this.#out, count);
      for (let index = 0; index < count; index += 1) this.#arena.give(this.#out[index] as number);
    } while (count === BATCH_SIZE);
  }

  #nextWakeUs(): TimeUs {
    let deadlineUs = NEVER;
    for (const tap of this.#taps) deadlineUs = Math.min(deadlineUs, tap.path.deadlineUs());
    return deadlineUs === NEVER ? NEVER : Math.max(deadlineUs, this.#engine.nowUs() + TICK_US);
  }
}
