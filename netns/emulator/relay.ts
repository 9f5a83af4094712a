/**
 * The emulator's packet path: reads what the kernel forwards into a TUN device, keeps it as long as
 * its `EmulatedPath` says, and writes it back to the same device, from where the kernel forwards it
 * on. One arena and one timer for both directions; plain packets of any protocol.
 */
import { Arena, SLOT_SIZE } from "../../src/core/arena.ts";
import { NEVER, type TimeUs } from "../../src/core/time.ts";
import { type Engine, type Handle, loadNative, READY } from "../../src/native/native.ts";
import { EmulatedPath } from "./path.ts";

/** 70 MB: 4 links x 100 Mbit/s both ways at 200 ms are 15 000 packets of 1400 octets. */
const SLOTS = 32_768;
/** Half of all slots, so that one path in trouble leaves room for the others. */
const PATH_PACKETS_MAX = SLOTS / 2;
const BATCH_SIZE = 256;
/** The kernel's rates count it too, so that `police` and `rate` mean the same. */
const ETHERNET_HEADER_OCTETS = 14;
/**
 * Under load the devices are looked at this often instead of at every packet: a packet leaves up to
 * this much late, and 8 paths at 100 Mbit/s cost 5 000 wake-ups a second instead of 60 000.
 */
const TICK_US = 200;
/** Packets read in one wake-up that show load. */
const LOAD_PACKETS = 3;
/** Ticks without a packet after which every packet wakes us again. */
const IDLE_TICKS = 25;

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
  /** Looks at every device each tick, instead of being woken by them. */
  #polling = false;
  #idleTicks = 0;

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
    const read = this.#polling ? this.#readAll() : this.#readReady(count);
    this.#release();
    this.#choosePolling(read);
    this.#engine.setTimer(this.#nextWakeUs());
  }

  #readReady(count: number): number {
    let read = 0;
    for (let index = 0; index < count; index += 1) {
      const tap = this.#byHandle[this.#ready[2 * index] as number];
      if (tap !== undefined) read += this.#read(tap);
    }
    return read;
  }

  #readAll(): number {
    let read = 0;
    for (const tap of this.#taps) read += this.#read(tap);
    return read;
  }

  #choosePolling(read: number): void {
    this.#idleTicks = read === 0 ? this.#idleTicks + 1 : 0;
    const polling = this.#polling ? this.#idleTicks < IDLE_TICKS : read >= LOAD_PACKETS;
    if (polling === this.#polling) return;
    this.#polling = polling;
    const events = polling ? 0 : READY.readable;
    for (const tap of this.#taps) this.#engine.setInterest(tap.handle, events);
  }

  #read(tap: Tap): number {
    this.#held = this.#arena.fill(this.#in, this.#held, BATCH_SIZE);
    const count = this.#engine.readTun(tap.handle, this.#in, this.#held);
    const nowUs = this.#engine.nowUs();
    for (let index = 0; index < count; index += 1) {
      this.#arrive(tap.path, this.#in[index] as number, nowUs);
    }
    this.#in.copyWithin(0, count, this.#held);
    this.#held -= count;
    return count;
  }

  #arrive(path: EmulatedPath, slot: number, nowUs: TimeUs): void {
    const octets = (this.#arena.length[slot] as number) + ETHERNET_HEADER_OCTETS;
    const verdict = path.judge(octets, nowUs);
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
    if (this.#polling) return this.#engine.nowUs() + TICK_US;
    let deadlineUs = NEVER;
    for (const tap of this.#taps) deadlineUs = Math.min(deadlineUs, tap.path.deadlineUs());
    return deadlineUs;
  }
}
