/** What a soak looks at: processes from outside, by `/proc` and by what V8 traces, and the kernel's tables. */
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { rssBytes } from "../experiments/overload/observed.ts";
import type { Portals } from "../portals.ts";
import type { Lab } from "../topology/lab.ts";

export const SIDES = ["local", "remote"] as const;
export type Side = (typeof SIDES)[number];

const ROLE = { local: "lp", remote: "rp" } as const;
const MIB = 2 ** 20;
const HOUR_S = 3_600;

export interface Sample {
  /** Since the sampler began. */
  readonly seconds: number;
  readonly rssMib: number;
  /** V8's heap after its latest collection that left all generations clean; null: there was none. */
  readonly heapMib: number | null;
  readonly descriptors: number;
  readonly threads: number;
  /** Lines of nftables rules in the portal's namespace, and connections tracked there. */
  readonly rules: number;
  readonly connections: number;
}

export class Sampler {
  readonly #lab: Lab;
  readonly #portals: Portals;
  readonly #samples: Record<Side, Sample[]> = { local: [], remote: [] };
  readonly #startMs = performance.now();
  readonly #done: Promise<void>;
  #stopped = false;

  constructor(lab: Lab, portals: Portals, everyMs: number) {
    this.#lab = lab;
    this.#portals = portals;
    this.#done = this.#run(everyMs);
    // Whoever stops the sampler hears of a failure.
    this.#done.catch(() => {});
  }

  async stop(): Promise<Readonly<Record<Side, readonly Sample[]>>> {
    this.#stopped = true;
    await this.#done;
    return this.#samples;
  }

  async #run(everyMs: number): Promise<void> {
    while (!this.#stopped) {
      for (const side of SIDES) this.#samples[side].push(await this.#look(side));
      await sleep(everyMs);
    }
  }

  async #look(side: Side): Promise<Sample> {
    const pid = this.#portals.pid(side);
    const { stdout } = await this.#lab.exec(ROLE[side], "nft", ["list", "ruleset"]);
    return {
      seconds: (performance.now() - this.#startMs) / 1_000,
      rssMib: rssBytes(pid) / MIB,
      heapMib: heapMib(this.#portals.output(side)),
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      threads: readdirSync(`/proc/${pid}/task`).length,
      rules: stdout.split("\n").length,
      connections: await this.#lab.connections(ROLE[side]),
    };
  }
}

/** The heap that the latest full collection left, of lines such as `Mark-Compact 8.1 (9.9) -> 5.2 (11.1) MB, ...`. */
function heapMib(trace: string): number | null {
  const left = [...trace.matchAll(/Mark-Compact[^\n]*? -> ([\d.]+) \(/g)].at(-1)?.[1];
  return left === undefined ? null : Number(left);
}

/** The longest pause that V8 has traced, milliseconds: the first of the two figures behind the sizes. */
export function longestPauseMs(trace: string): number {
  const pauses = [...trace.matchAll(/\) MB, ([\d.]+) \/ /g)].map((match) => Number(match[1]));
  return Math.max(0, ...pauses);
}

/** The median of the slopes of all pairs (Theil 1950, Sen 1968): steps and spikes do not bend it. */
export function trendOf(
  samples: readonly Sample[],
  figureOf: (sample: Sample) => number,
): { readonly perHour: number; readonly total: number } {
  const slopes = samples.flatMap((later, index) =>
    samples
      .slice(0, index)
      .map((earlier) => (figureOf(later) - figureOf(earlier)) / (later.seconds - earlier.seconds)),
  );
  slopes.sort((a, b) => a - b);
  const slope = slopes[slopes.length >> 1] ?? Number.NaN;
  const seconds = (samples.at(-1)?.seconds ?? 0) - (samples[0]?.seconds ?? 0);
  return { perHour: slope * HOUR_S, total: slope * seconds };
}
