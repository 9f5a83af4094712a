/**
 * What a fault says: a lab, a load, what happens while it runs, and what users may notice of it. A fault
 * begins when its act does, and is over when that says so or returns.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../../load/arrivals.ts";
import type { FlowDirection } from "../../load/iperf.ts";
import type { PortalOptions } from "../../portal-files.ts";
import type { Portals } from "../../portals.ts";
import type { Demand } from "../../result.ts";
import type { Lab } from "../../topology/lab.ts";

/** Of a fault that wants no other. */
export const LINK = "rate=50mbit,delay=10ms,live";

/** Figures that only this fault has. */
export type OwnFigures = Readonly<Record<string, number>> | undefined;

export interface Scene {
  readonly lab: Lab;
  readonly portals: Portals;
  /** How long the fault is to last, milliseconds. */
  readonly holdMs: number;
  /** The fault is over now: what follows is recovery. */
  over(): void;
  progress(text: string): void;
}

export interface Fault {
  readonly name: string;
  readonly summary: string;
  /** Default: two of 50 Mbit/s and 20 ms of round trip. */
  readonly links?: readonly string[];
  /** For the portals; what has to be made first is made in the lab. */
  readonly portals?: (lab: Lab) => Promise<Partial<PortalOptions>>;
  /** Bits per second of the TCP flow; null: as fast as it goes; default: half of what two links carry. */
  readonly pace?: number | null;
  /** The direction that the fault leaves alone: the flow goes the other way, and a second one this way. */
  readonly lives?: FlowDirection;
  /** Seconds that the fault lasts. */
  readonly holds: { readonly full: number; readonly brief: number };
  /** Seconds of the load after it; default 6, in brief 4. */
  readonly tail?: number;
  act(scene: Scene): Promise<OwnFigures>;
  /** Beside `tcp_survived` and `duplicated`. */
  readonly demands: readonly Demand[];
}

/** A fault that is made, lasts, and is mended. */
export function during(
  begin: (scene: Scene) => Promise<unknown>,
  end: (scene: Scene) => Promise<unknown>,
): Fault["act"] {
  return async (scene) => {
    await begin(scene);
    await sleep(scene.holdMs);
    scene.over();
    await end(scene);
    return undefined;
  };
}

/** Does something again and again, each time after `everyMs`, while the fault lasts. */
export async function repeatedly(
  scene: Scene,
  everyMs: number,
  act: (round: number) => Promise<void>,
): Promise<void> {
  const endMs = monotonicMs() + scene.holdMs;
  for (let round = 0; monotonicMs() < endMs; round += 1) {
    const dueMs = monotonicMs() + everyMs;
    await act(round);
    await sleep(Math.max(0, dueMs - monotonicMs()));
  }
}
