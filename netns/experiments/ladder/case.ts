/**
 * What a case of the ladder says: a path, what happens to it while traffic runs, and the transports
 * that are to carry each direction when it has settled, before and after.
 */
import type { Transport } from "../../../src/core/transport.ts";
import type { Demand } from "../../result.ts";
import type { Lab } from "../../topology/lab.ts";
import { parseMiddlebox } from "../../topology/middlebox.ts";
import type { Family } from "../../topology/names.ts";

/** By direction; null: whichever. */
export interface Carriers {
  readonly up: Transport | null;
  readonly down: Transport | null;
}

export interface Change {
  /** Seconds after the flows have started. */
  readonly at: number;
  /** For the progress line. */
  readonly what: string;
  /** Returns figures of its own, if any. */
  act(lab: Lab, family: Family): Promise<Readonly<Record<string, number>> | undefined>;
}

export interface LadderCase {
  readonly name: string;
  readonly summary: string;
  /** More link options: `nat`, `neighbour`. */
  readonly link?: string;
  /** Rules of the provider's middlebox before the portals start. */
  readonly box?: string;
  /** The Remote Portal's UDP and TCP port. */
  readonly port?: number;
  readonly changes: readonly Change[];
  /** What carries before the first change. */
  readonly start: Carriers;
  /** What carries when the run ends. */
  readonly end: Carriers;
  /** Of the flows; default 9. */
  readonly seconds?: number;
  /** Beside what every case has to show. */
  readonly demands?: readonly Demand[];
}

export function carriedBy(up: Transport | null, down: Transport | null = up): Carriers {
  return { up, down };
}

/** The rules of the middlebox from a moment on. */
export function box(at: number, rules: string): Change {
  return {
    at,
    what: `middlebox: ${rules}`,
    act: async (lab) => {
      await lab.middlebox(1, parseMiddlebox(rules));
      return undefined;
    },
  };
}
