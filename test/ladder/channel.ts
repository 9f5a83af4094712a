/** One direction of one transport, and the NAT that raw has to pass: what a middlebox may do to messages. */
import type { SeededRandom } from "../../src/core/random.ts";
import { MS, SECOND } from "../../src/core/time.ts";

export interface Channel {
  /** Nothing passes. */
  blocked: boolean;
  delayUs: number;
  /** Share of messages lost at random. */
  loss: number;
  /** Longer messages are lost. */
  octetsMax: number;
  /** Messages arrive with a tag that does not fit. */
  mangles: boolean;
  /** Octets per microsecond; Infinity: no policer. */
  policedRate: number;
}

export type Fate = "passes" | "lost" | "mangled";

/** The bucket of a policer: 30 ms of a 10 Mbit/s link. */
const BUCKET_OCTETS = 40_000;

export const openChannel = (): Channel => ({
  ...{ blocked: false, delayUs: 25 * MS, loss: 0, octetsMax: 65_535, mangles: false },
  policedRate: Number.POSITIVE_INFINITY,
});

/** A channel in use: the policer's bucket is part of it. */
export class Middlebox {
  readonly channel = openChannel();
  readonly #random: SeededRandom;
  #tokens = BUCKET_OCTETS;
  #filledUs = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  fate(nowUs: number, octets: number): Fate {
    const { blocked, loss, octetsMax, mangles } = this.channel;
    const chance = this.#random.next();
    if (blocked || octets > octetsMax || chance < loss || !this.#conforms(nowUs, octets))
      return "lost";
    return mangles ? "mangled" : "passes";
  }

  #conforms(nowUs: number, octets: number): boolean {
    const { policedRate } = this.channel;
    if (policedRate === Number.POSITIVE_INFINITY) return true;
    const filled = this.#tokens + (nowUs - this.#filledUs) * policedRate;
    this.#tokens = Math.min(filled, BUCKET_OCTETS);
    this.#filledUs = nowUs;
    if (this.#tokens < octets) return false;
    this.#tokens -= octets;
    return true;
  }
}

/** Generic conntrack timeout of Linux. */
const MAPPING_US = 600 * SECOND;

/**
 * What a Linux router with masquerading does to a protocol without ports: one mapping, made by what comes first, and
 * a packet from outside that comes first is taken for the router's own and shuts the client out.
 */
export class RawNat {
  /** "router": the mapping is the router's own. */
  #owner: "client" | "router" = "client";
  #untilUs = Number.NEGATIVE_INFINITY;

  flush(): void {
    this.#untilUs = Number.NEGATIVE_INFINITY;
  }

  /** A raw message of this side passes. */
  passes(nowUs: number, from: "local" | "remote"): boolean {
    const sender = from === "local" ? "client" : "router";
    if (nowUs >= this.#untilUs) {
      this.#owner = sender;
      this.#untilUs = nowUs + MAPPING_US;
      return sender === "client";
    }
    // What the router keeps for itself is refreshed by what comes from outside only.
    if (this.#owner === "client" || sender === "router") this.#untilUs = nowUs + MAPPING_US;
    return this.#owner === "client";
  }
}
