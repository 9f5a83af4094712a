/** A plain connection beside the tunnel: its packets go straight into the pipes. */
import type { Arena } from "../../src/core/arena.ts";
import type { SeededRandom } from "../../src/core/random.ts";
import { NEVER, type TimeUs } from "../../src/core/time.ts";
import type { Endpoint, Outlet } from "./ends.ts";
import type { EventQueue, Process } from "./events.ts";
import { AT, trafficClassOf } from "./packets.ts";
import type { Pipe } from "./pipe.ts";

/**
 * A host takes up to so long for a packet: the time of a full one at 50 Mbit/s. Without it the packets of a connection
 * come to a full queue exactly when one has left it, and those of everybody else are lost instead (S. Floyd, V. Jacobson,
 * "On Traffic Phase Effects in Packet-Switched Gateways", 1992, section 4).
 */
const HOST_NOISE_US = 250;

/** What stands between a host and its pipes. */
interface Host {
  readonly events: EventQueue;
  readonly random: SeededRandom;
}

/** An outlet into `pipe`, at whose far end stands `endpoint`. */
export function besideOutlet(arena: Arena, pipe: Pipe, endpoint: Endpoint, host: Host): Outlet {
  const port = pipe.connect({
    arrive: (nowUs, slot, trafficClass) => {
      arena.octets[(arena.start[slot] as number) + AT.trafficClass] = trafficClass;
      endpoint.receive(nowUs, slot);
      arena.give(slot);
    },
    settle: (nowUs) => endpoint.endBatch(nowUs),
  });
  return new HostNoise(host, (nowUs, slot) => {
    const bytes = arena.length[slot] as number;
    pipe.offer(nowUs, port, slot, bytes, trafficClassOf(arena, slot));
  });
}

/** Passes packets on in their order, each a little later than it came. */
class HostNoise implements Outlet, Process {
  readonly #events: EventQueue;
  readonly #random: SeededRandom;
  readonly #id: number;
  readonly #pass: (nowUs: TimeUs, slot: number) => void;
  readonly #waiting: { readonly slot: number; readonly atUs: TimeUs }[] = [];
  #lastUs: TimeUs = 0;

  constructor({ events, random }: Host, pass: (nowUs: TimeUs, slot: number) => void) {
    this.#events = events;
    this.#random = random;
    this.#id = events.register(this);
    this.#pass = pass;
  }

  send(nowUs: TimeUs, slot: number): void {
    this.#lastUs = Math.max(this.#lastUs, nowUs + Math.ceil(this.#random.next() * HOST_NOISE_US));
    this.#waiting.push({ slot, atUs: this.#lastUs });
    this.#events.setEarlier(this.#id, this.#lastUs);
  }

  wake(nowUs: TimeUs): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.atUs > nowUs) break;
      this.#waiting.shift();
      this.#pass(nowUs, first.slot);
    }
    this.#events.set(this.#id, this.#waiting[0]?.atUs ?? NEVER);
  }
}

/** Breaks the circle between two ends that need each other's outlet first. */
export class LateEndpoint implements Endpoint {
  target: Endpoint | undefined;

  receive(nowUs: number, slot: number): void {
    this.target?.receive(nowUs, slot);
  }

  endBatch(nowUs: number): void {
    this.target?.endBatch(nowUs);
  }
}
