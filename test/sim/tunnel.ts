/** A tunnel: two portals, and for each path a link at both ends. */
import type { CongestionController } from "../../src/cc/controller.ts";
import type { Arena } from "../../src/core/arena.ts";
import type { SeededRandom } from "../../src/core/random.ts";
import { Link } from "../../src/link/link.ts";
import type { EventQueue } from "./events.ts";
import { Pipe, type Receiver } from "./pipe.ts";
import { Portal } from "./portal.ts";
import { CARRIAGE_OCTETS } from "./sockets.ts";

export interface TunnelOptions {
  readonly arena: Arena;
  readonly events: EventQueue;
  readonly random: () => SeededRandom;
  readonly paths: readonly { readonly up: Pipe; readonly down: Pipe }[];
  readonly controller: (mssBytes: number) => CongestionController;
  readonly mssBytes: number;
  readonly outerEcn: boolean;
  readonly timerNoiseUs: number;
  readonly extraDelayMs: number;
  /** Stands before the receiver at the end of a path. */
  readonly tamper?: Tamper | undefined;
  /** What the portals' clocks show at time 0. */
  readonly clocksUs?: readonly [a: number, b: number] | undefined;
}

/** Makes what stands before a receiver at the end of the path of this index. */
export type Tamper = (
  receiver: Receiver,
  place: {
    readonly arena: Arena;
    readonly events: EventQueue;
    readonly random: SeededRandom;
    readonly path: number;
    readonly way: "up" | "down";
  },
) => Receiver;

export class Tunnel {
  readonly a: Portal;
  readonly b: Portal;
  readonly #options: TunnelOptions;

  constructor(options: TunnelOptions) {
    this.#options = options;
    this.a = this.#portal(options.clocksUs?.[0] ?? 0);
    this.b = this.#portal(options.clocksUs?.[1] ?? 0);
    for (const [number, { up, down }] of options.paths.entries()) {
      const toB = this.#tampered(this.#tail(this.b.receiver(number)), number, "up");
      const toA = this.#tampered(this.#tail(this.a.receiver(number)), number, "down");
      this.a.add(this.makeLink(number), up, up.connect(toB));
      this.b.add(this.makeLink(number), down, down.connect(toA));
    }
    for (const portal of [this.a, this.b]) {
      for (const link of portal.bond.links) link.attach(portal.clock(options.events.nowUs));
    }
    this.a.kick();
    this.b.kick();
  }

  /** A link that has not been attached. */
  makeLink(number: number): Link {
    const { arena, controller, mssBytes, outerEcn: ecn } = this.#options;
    const name = `l${number}`;
    const link = new Link({ number, name, arena, controller: controller(mssBytes), mssBytes, ecn });
    link.carriageOctets = CARRIAGE_OCTETS;
    return link;
  }

  #portal(clockUs: number): Portal {
    const { arena, events, random, timerNoiseUs } = this.#options;
    return new Portal({ arena, events, random: random(), timerNoiseUs, clockUs });
  }

  #tampered(receiver: Receiver, path: number, way: "up" | "down"): Receiver {
    const { arena, events, random, tamper } = this.#options;
    return tamper?.(receiver, { arena, events, random: random(), path, way }) ?? receiver;
  }

  /** A longer way behind the shared path, if this tunnel has one. */
  #tail(receiver: Receiver): Receiver {
    const { arena, events, random, extraDelayMs } = this.#options;
    if (extraDelayMs === 0) return receiver;
    const spec = { rateMbit: 100_000, delayMs: extraDelayMs, queueMs: 1000 };
    const pipe = new Pipe(arena, events, spec, random());
    const port = pipe.connect(receiver);
    return {
      arrive: (nowUs, slot, trafficClass) => {
        const length = arena.length[slot] as number;
        pipe.offer(nowUs, port, slot, length + CARRIAGE_OCTETS, trafficClass);
      },
      settle: () => {},
    };
  }
}
