/** A tunnel: two portals, and for each path a link at both ends. */
import type { CongestionController } from "../../src/cc/controller.ts";
import type { Arena } from "../../src/core/arena.ts";
import type { SeededRandom } from "../../src/core/random.ts";
import { Link } from "../../src/link/link.ts";
import type { EventQueue } from "./events.ts";
import { Pipe, type Receiver } from "./pipe.ts";
import { CARRIAGE_OCTETS, Portal } from "./portal.ts";

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
}

export class Tunnel {
  readonly a: Portal;
  readonly b: Portal;
  readonly #options: TunnelOptions;

  constructor(options: TunnelOptions) {
    this.#options = options;
    this.a = this.#portal();
    this.b = this.#portal();
    for (const [number, { up, down }] of options.paths.entries()) {
      this.a.add(this.#link(number), up, up.connect(this.#tail(this.b.receiver(number))));
      this.b.add(this.#link(number), down, down.connect(this.#tail(this.a.receiver(number))));
    }
    for (const { bond } of [this.a, this.b]) {
      for (const link of bond.links) {
        link.carriageOctets = CARRIAGE_OCTETS;
        link.attach(options.events.nowUs);
      }
    }
    this.a.kick();
    this.b.kick();
  }

  #portal(): Portal {
    const { arena, events, random, timerNoiseUs } = this.#options;
    return new Portal({ arena, events, random: random(), timerNoiseUs });
  }

  #link(number: number): Link {
    const { arena, controller, mssBytes, outerEcn: ecn } = this.#options;
    return new Link({
      number,
      name: `l${number}`,
      arena,
      controller: controller(mssBytes),
      mssBytes,
      ecn,
    });
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
