/**
 * Virtual time: processes that each wait for at most one moment, woken in the order of these moments,
 * at equal moments in the order in which they were set. Nothing is allocated per event.
 */
import { NEVER, type TimeUs } from "../../src/core/time.ts";

export interface Process {
  wake(nowUs: TimeUs): void;
}

export class EventQueue {
  nowUs: TimeUs = 0;
  /** Wake-ups so far. */
  count = 0;
  readonly #processes: Process[] = [];
  #atUs = new Float64Array(64);
  #order = new Float64Array(64);
  /** Place in the heap, -1: waits for nothing. */
  #place = new Int32Array(64);
  #heap = new Int32Array(64);
  #size = 0;
  #orders = 0;

  /** Returns the number by which the process is set. */
  register(process: Process): number {
    const id = this.#processes.length;
    this.#processes.push(process);
    if (id === this.#atUs.length) this.#grow();
    this.#atUs[id] = NEVER;
    this.#place[id] = -1;
    return id;
  }

  /** When the process will be woken; Infinity: never. */
  at(id: number): TimeUs {
    return this.#atUs[id] as number;
  }

  /** Wakes the process at this moment instead of the one set before; Infinity: not at all. */
  set(id: number, atUs: TimeUs): void {
    if (this.#atUs[id] === atUs) return;
    this.#atUs[id] = atUs;
    if (atUs === NEVER) {
      this.#remove(id);
      return;
    }
    this.#orders += 1;
    this.#order[id] = this.#orders;
    if (this.#place[id] === -1) {
      this.#heap[this.#size] = id;
      this.#place[id] = this.#size;
      this.#size += 1;
      this.#rise(this.#size - 1);
      return;
    }
    this.#rise(this.#place[id] as number);
    this.#sink(this.#place[id] as number);
  }

  /** Wakes the process at this moment unless it is woken earlier anyhow. */
  setEarlier(id: number, atUs: TimeUs): void {
    if (atUs < (this.#atUs[id] as number)) this.set(id, atUs);
  }

  /** Runs all that happens up to and including `untilUs`, where time then stands. */
  run(untilUs: TimeUs): void {
    while (this.#size > 0) {
      const id = this.#heap[0] as number;
      const atUs = this.#atUs[id] as number;
      if (atUs > untilUs) break;
      this.#atUs[id] = NEVER;
      this.#remove(id);
      if (atUs > this.nowUs) this.nowUs = atUs;
      this.count += 1;
      (this.#processes[id] as Process).wake(this.nowUs);
    }
    this.nowUs = Math.max(this.nowUs, untilUs);
  }

  #remove(id: number): void {
    const place = this.#place[id] as number;
    if (place === -1) return;
    this.#place[id] = -1;
    this.#size -= 1;
    if (place === this.#size) return;
    const last = this.#heap[this.#size] as number;
    this.#heap[place] = last;
    this.#place[last] = place;
    this.#rise(place);
    this.#sink(this.#place[last] as number);
  }

  #before(x: number, y: number): boolean {
    const difference = (this.#atUs[x] as number) - (this.#atUs[y] as number);
    return (
      difference < 0 ||
      (difference === 0 && (this.#order[x] as number) < (this.#order[y] as number))
    );
  }

  #rise(from: number): void {
    const heap = this.#heap;
    let place = from;
    const id = heap[place] as number;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = heap[parent] as number;
      if (!this.#before(id, above)) break;
      heap[place] = above;
      this.#place[above] = place;
      place = parent;
    }
    heap[place] = id;
    this.#place[id] = place;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    let place = from;
    const id = heap[place] as number;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#size) break;
      if (
        child + 1 < this.#size &&
        this.#before(heap[child + 1] as number, heap[child] as number)
      ) {
        child += 1;
      }
      const below = heap[child] as number;
      if (!this.#before(below, id)) break;
      heap[place] = below;
      this.#place[below] = place;
      place = child;
    }
    heap[place] = id;
    this.#place[id] = place;
  }

  #grow(): void {
    const length = 2 * this.#atUs.length;
    const wider = new Float64Array(length);
    wider.set(this.#atUs);
    this.#atUs = wider;
    const order = new Float64Array(length);
    order.set(this.#order);
    this.#order = order;
    const place = new Int32Array(length);
    place.set(this.#place);
    this.#place = place;
    const heap = new Int32Array(length);
    heap.set(this.#heap);
    this.#heap = heap;
  }
}

/** Things to be done once, at given moments. */
export class Script implements Process {
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #steps: { readonly atUs: TimeUs; readonly run: (nowUs: TimeUs) => void }[] = [];

  constructor(events: EventQueue) {
    this.#events = events;
    this.#id = events.register(this);
  }

  at(atUs: TimeUs, run: (nowUs: TimeUs) => void): void {
    const after = this.#steps.findIndex((step) => step.atUs > atUs);
    this.#steps.splice(after < 0 ? this.#steps.length : after, 0, { atUs, run });
    this.#arm();
  }

  wake(nowUs: TimeUs): void {
    while (this.#steps[0] !== undefined && this.#steps[0].atUs <= nowUs) {
      this.#steps.shift()?.run(nowUs);
    }
    this.#arm();
  }

  #arm(): void {
    this.#events.set(this.#id, this.#steps[0]?.atUs ?? NEVER);
  }
}
