/**
 * What happens to packets at the end of a path: cut, lost, too long, copied, late. Faults come and go, and
 * those that overlap add up. Packets that arrive in order otherwise go straight through.
 */
import { type Arena, PATH_OCTETS } from "../../../src/core/arena.ts";
import type { SeededRandom } from "../../../src/core/random.ts";
import { MS, NEVER, type TimeUs } from "../../../src/core/time.ts";
import type { EventQueue, Process } from "../events.ts";
import { MEANING_OCTETS, takeSlot } from "../packets.ts";
import type { Receiver } from "../pipe.ts";
import { CARRIAGE_OCTETS } from "../sockets.ts";
import type { FaultOf } from "./fault.ts";

export type WayFault = FaultOf<"cut" | "loss" | "mtu" | "copies" | "late">;

/** Packets and copies that are under way late at one time; the next ones come in time, or are not copied. */
const LATE_MAX = 512;

interface Late {
  readonly atUs: TimeUs;
  readonly slot: number;
  readonly trafficClass: number;
}

export class TamperedWay implements Receiver, Process {
  /** Packets that arrived, those that did not, and copies. */
  passed = 0;
  stopped = 0;
  copied = 0;
  readonly #arena: Arena;
  readonly #events: EventQueue;
  readonly #id: number;
  readonly #random: SeededRandom;
  readonly #receiver: Receiver;
  readonly #faults = new Set<WayFault>();
  readonly #late: Late[] = [];

  constructor(arena: Arena, events: EventQueue, random: SeededRandom, receiver: Receiver) {
    this.#arena = arena;
    this.#events = events;
    this.#id = events.register(this);
    this.#random = random;
    this.#receiver = receiver;
  }

  begin(fault: WayFault): void {
    this.#faults.add(fault);
  }

  end(fault: WayFault): void {
    this.#faults.delete(fault);
  }

  arrive(nowUs: TimeUs, slot: number, trafficClass: number): void {
    let lateUs = 0;
    for (const fault of this.#faults) {
      if (this.#stops(fault, slot)) {
        this.stopped += 1;
        this.#arena.give(slot);
        return;
      }
      if (fault.kind === "copies" && this.#random.next() < fault.share) {
        if (this.#late.length >= LATE_MAX) continue;
        this.copied += 1;
        this.#delay(nowUs + this.#laterUs(fault), this.#copy(slot), trafficClass);
      } else if (fault.kind === "late" && this.#random.next() < fault.share) {
        lateUs += this.#laterUs(fault);
      }
    }
    this.passed += 1;
    if (lateUs > 0 && this.#late.length < LATE_MAX) {
      this.#delay(nowUs + lateUs, slot, trafficClass);
    } else this.#receiver.arrive(nowUs, slot, trafficClass);
  }

  settle(nowUs: TimeUs): void {
    this.#receiver.settle(nowUs);
  }

  wake(nowUs: TimeUs): void {
    for (;;) {
      const first = this.#late[0];
      if (first === undefined || first.atUs > nowUs) break;
      this.#late.shift();
      this.#receiver.arrive(nowUs, first.slot, first.trafficClass);
    }
    this.#arm();
    this.#receiver.settle(nowUs);
  }

  #stops(fault: WayFault, slot: number): boolean {
    switch (fault.kind) {
      case "cut":
        return true;
      case "loss":
        return this.#random.next() < fault.share;
      case "mtu":
        return (this.#arena.length[slot] as number) + CARRIAGE_OCTETS > fault.octets;
      default:
        return false;
    }
  }

  #laterUs({ laterMs }: FaultOf<"copies" | "late">): number {
    return Math.ceil(this.#random.next() * laterMs * MS);
  }

  #delay(atUs: TimeUs, slot: number, trafficClass: number): void {
    const after = this.#late.findIndex((late) => late.atUs > atUs);
    this.#late.splice(after < 0 ? this.#late.length : after, 0, { atUs, slot, trafficClass });
    this.#arm();
  }

  #arm(): void {
    this.#events.set(this.#id, this.#late[0]?.atUs ?? NEVER);
  }

  #copy(slot: number): number {
    const arena = this.#arena;
    const copy = takeSlot(arena);
    const [from, to] = [arena.start[slot] as number, arena.start[copy] as number];
    const length = arena.length[slot] as number;
    arena.octets.copyWithin(to, from, from + Math.min(length, MEANING_OCTETS));
    arena.length[copy] = length;
    arena.seq[copy] = arena.seq[slot] as number;
    arena.context[copy] = arena.context[slot] as number;
    const path = slot * PATH_OCTETS;
    arena.paths.copyWithin(copy * PATH_OCTETS, path, path + PATH_OCTETS);
    return copy;
  }
}
