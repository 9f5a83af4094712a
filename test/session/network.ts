/**
 * The links of a session in virtual time. Each link has a path for each of its transports; packets are lost, doubled
 * and delayed by chance, and what is blocked does not pass. Everything that is put on the network is on record.
 */

import type { Path } from "../../src/core/path.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, NEVER, type TimeUs } from "../../src/core/time.ts";
import type { Transport } from "../../src/core/transport.ts";
import { hex } from "./addon-model.ts";
import { byTransport, pathOf } from "./paths.ts";

export interface NetworkOptions {
  readonly seed?: number;
  readonly links?: number;
  /** Of every link; default UDP alone. */
  readonly transports?: readonly Transport[];
  readonly loss?: number;
  readonly duplicate?: number;
  readonly delayUs?: number;
  readonly jitterUs?: number;
}

/** TYPE of a message on the network. */
export function typeOf(octets: Uint8Array): number {
  return (octets[0] as number) >> 4;
}

interface Flying {
  readonly atUs: TimeUs;
  readonly order: number;
  readonly deliver: () => void;
}

interface Sent {
  readonly up: boolean;
  readonly octets: Uint8Array;
  readonly path: Path;
}

export abstract class Network {
  nowUs: TimeUs = 1000 * MS;
  readonly random: SeededRandom;
  /** Where the Remote Portal sees each link by UDP; by another transport: `byTransport` of it. */
  readonly paths: Path[];
  /** What does not pass: "up 0 raw" for link 0's raw packets to the Remote Portal. */
  readonly blocked = new Set<string>();
  readonly transports: readonly Transport[];
  loss: number;
  duplicate: number;
  delayUs: number;
  jitterUs: number;
  /** Everything that was put on the network. */
  readonly wire: Sent[] = [];
  /** Octets up from and down to each path. */
  readonly octets = new Map<string, { up: number; down: number }>();
  #flying: Flying[] = [];
  #order = 0;

  constructor(options: NetworkOptions) {
    this.random = new SeededRandom(options.seed ?? 1);
    this.loss = options.loss ?? 0;
    this.duplicate = options.duplicate ?? 0;
    this.delayUs = options.delayUs ?? 10 * MS;
    this.jitterUs = options.jitterUs ?? 0;
    this.transports = options.transports ?? ["udp"];
    this.paths = Array.from({ length: options.links ?? 2 }, (_, index) => pathOf(index + 1));
  }

  /** Octets that reach the Remote Portal from anywhere. */
  abstract inject(octets: Uint8Array, path: Path): void;

  /** Octets that reach a socket of the client. */
  abstract injectDown(octets: Uint8Array, link: number, transport?: Transport): void;

  /** What a second observer on the way does with a message; default: nothing. */
  tap: (up: boolean, octets: Uint8Array, path: Path) => void = () => {};

  /** Octets up from and down to this path, to be counted on. */
  protected count(path: Path): { up: number; down: number } {
    const count = this.octets.get(hex(path)) ?? { up: 0, down: 0 };
    this.octets.set(hex(path), count);
    return count;
  }

  /** From a socket of the client. */
  protected up(link: number, transport: Transport, octets: Uint8Array): void {
    const path = byTransport(this.paths[link] as Path, transport);
    this.wire.push({ up: true, octets, path });
    this.tap(true, octets, path);
    if (!this.blocked.has(`up ${link} ${transport}`)) this.#fly(() => this.inject(octets, path));
  }

  /** From the Remote Portal. */
  protected down(path: Path, octets: Uint8Array): void {
    this.wire.push({ up: false, octets, path });
    this.count(path).down += octets.length;
    this.tap(false, octets, path);
    for (const transport of this.transports) {
      const link = this.paths.findIndex((own) => hex(byTransport(own, transport)) === hex(path));
      if (link < 0 || this.blocked.has(`down ${link} ${transport}`)) continue;
      this.#fly(() => {
        // The client may have left that address while the packet was under way.
        const own = byTransport(this.paths[link] as Path, transport);
        if (hex(own) === hex(path)) this.injectDown(octets, link, transport);
      });
    }
  }

  /** When the next packet arrives. */
  protected arrivalUs(): TimeUs {
    return this.#flying.reduce((least, { atUs }) => Math.min(least, atUs), NEVER);
  }

  /** Delivers what arrives now, in its order. */
  protected deliver(): void {
    const due = this.#flying.filter(({ atUs }) => atUs <= this.nowUs);
    this.#flying = this.#flying.filter(({ atUs }) => atUs > this.nowUs);
    due.sort((a, b) => a.atUs - b.atUs || a.order - b.order);
    for (const { deliver } of due) deliver();
  }

  #fly(deliver: () => void): void {
    const copies = this.random.next() < this.duplicate ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.random.next() < this.loss) continue;
      const atUs = this.nowUs + this.delayUs + Math.round(this.random.next() * this.jitterUs);
      this.#order += 1;
      this.#flying.push({ atUs, order: this.#order, deliver });
    }
  }
}
