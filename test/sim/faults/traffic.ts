/**
 * What goes one way through a tunnel under trial: a TCP connection without end, short ones, a stream of voice
 * and one of long packets. How many packets came out belongs to the `Ledger`.
 */
import { MS } from "../../../src/core/time.ts";
import type { Portal } from "../portal.ts";
import type { ShortFlows } from "../short-flows.ts";
import type { TcpFlow } from "../tcp.ts";
import type { Stream } from "../udp.ts";
import type { UdpFlow, World } from "../world.ts";
import type { Ledger } from "./ledger.ts";

/** Each stream: 200 octets each 20 ms as a call, and packets that are too long to be in a hurry. */
const VOICE = { bytes: 200, everyUs: 20 * MS } as const;
const LONG = { bytes: 1400, everyUs: 50 * MS } as const;
const SHORT = { perSecond: 0.5, bytesMin: 3_000, bytesMax: 60_000 } as const;
/** The window of a connection: some round trips of the links that trials have. */
const WINDOW_BYTES = 512 * 1024;

export const STREAMS_MBIT = (8 *
  (VOICE.bytes / VOICE.everyUs + LONG.bytes / LONG.everyUs)) as number;

export class Traffic {
  readonly from: Portal;
  readonly ledger: Ledger;
  readonly #world: World;
  readonly #side: "a" | "b";
  readonly #flows: TcpFlow[] = [];
  readonly #streams: UdpFlow<Stream>[];
  readonly #short: ShortFlows;

  constructor(world: World, side: "a" | "b", ledger: Ledger) {
    this.#world = world;
    this.#side = side;
    this.from = side === "a" ? world.a : world.b;
    this.ledger = ledger;
    this.addConnection();
    this.#streams = [VOICE, LONG].map((spec) => world.stream({ ...spec, from: side }));
    this.#short = world.shortFlows({ ...SHORT, from: side });
  }

  addConnection(): void {
    this.#flows.push(this.#world.tcp({ from: this.#side, windowBytes: WINDOW_BYTES }));
  }

  /** Payload of all connections without end, since the world's mark. */
  goodputMbit(): number {
    return this.#flows.reduce((sum, flow) => sum + flow.goodputMbit(), 0);
  }

  /** No more comes from here. */
  stop(): void {
    for (const { source } of this.#streams) source.stop();
    this.#short.stop();
  }
}
