/**
 * Which transport carries each direction of a client's link, as the portals say of what they send
 * themselves, looked at ten times a second for as long as it is wanted.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { TRANSPORTS } from "../../../src/core/transport.ts";
import type { Portals } from "../../portals.ts";
import type { Carriers } from "./case.ts";

const LOOK_MS = 100;

/** Names of a client at the Remote Portal, and of its own portal. */
export const CLIENTS = [
  { side: "local", name: "lab" },
  { side: "neighbour", name: "neighbour" },
] as const;

export type Client = (typeof CLIENTS)[number];

interface Seen extends Carriers {
  /** `performance.now()`. */
  readonly atMs: number;
}

export class CarrierWatch {
  readonly #portals: Portals;
  readonly #client: Client;
  readonly #seen: Seen[] = [];
  #done = false;
  #running: Promise<void>;

  constructor(portals: Portals, client: Client) {
    this.#portals = portals;
    this.#client = client;
    this.#running = this.#look();
  }

  get now(): Carriers {
    return this.#seen.at(-1) ?? { up: null, down: null };
  }

  async end(): Promise<void> {
    this.#done = true;
    await this.#running;
  }

  /** Waits until both directions are as wanted; whether they were in time. */
  async until(wanted: Carriers, limitMs: number): Promise<boolean> {
    const limit = performance.now() + limitMs;
    while (this.#seen.length === 0 || !matches(this.now, wanted)) {
      if (performance.now() > limit) return false;
      await sleep(LOOK_MS);
    }
    return true;
  }

  /** Milliseconds from `sinceMs` until a direction was last seen to become another; null: it stayed. */
  lastChange(direction: "up" | "down", sinceMs: number): number | null {
    const at = this.#seen.findLastIndex((one, index) => {
      const before = this.#seen[index - 1];
      return before !== undefined && one[direction] !== before[direction];
    });
    const found = this.#seen[at];
    return found === undefined || found.atMs < sinceMs ? null : Math.round(found.atMs - sinceMs);
  }

  /** How often either direction was seen to become another. */
  changesSince(sinceMs: number): number {
    return this.#seen.filter(
      (one, index) => one.atMs >= sinceMs && !matches(one, this.#seen[index - 1] ?? one),
    ).length;
  }

  /** `raw/raw 3.4:udp/raw 3.6:udp/udp`: seconds from `startMs`, up/down. */
  story(startMs: number): string {
    return this.#seen
      .filter((one, index) => !matches(one, this.#seen[index - 1] ?? null))
      .map((one) => `${((one.atMs - startMs) / 1_000).toFixed(1)}:${one.up}/${one.down}`)
      .join(" ");
  }

  async #look(): Promise<void> {
    while (!this.#done) {
      const { side, name } = this.#client;
      const [up, down] = await Promise.all([
        this.#carrier(side, null),
        this.#carrier("remote", name),
      ]);
      this.#seen.push({ atMs: performance.now(), up, down });
      await sleep(LOOK_MS);
    }
  }

  async #carrier(side: Client["side"] | "remote", peerName: string | null) {
    try {
      const { peers } = await this.#portals.status(side);
      const peer = peerName === null ? peers[0] : peers.find((one) => one.name === peerName);
      const word = peer?.links[0]?.transport;
      return TRANSPORTS.find((one) => one === word) ?? null;
    } catch {
      return null; // A portal that is busy or gone: the next look will tell.
    }
  }
}

/** Whether `seen` is what is wanted, where something is. */
export function matches(seen: Carriers, wanted: Carriers | null): boolean {
  if (wanted === null) return false;
  const { up, down } = wanted;
  return (up === null || up === seen.up) && (down === null || down === seen.down);
}
