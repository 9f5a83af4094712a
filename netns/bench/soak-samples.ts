/** What a soak looks at: memory without garbage (`soak-probe.ts`), `/proc`, what V8 traces, and the kernel's tables. */
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { MpfwdError } from "../../src/core/errors.ts";
import type { Portals } from "../portals.ts";
import type { Lab } from "../topology/lab.ts";

export const SIDES = ["local", "remote"] as const;
export type Side = (typeof SIDES)[number];

const PROBE = fileURLToPath(new URL("soak-probe.js", import.meta.url));
/** Node's arguments of a portal that is looked at. */
export const NODE_ARGUMENTS: readonly string[] = [
  ...["--trace-gc", "--expose-gc", "--import", PROBE],
];

const ANSWER_MS = 10_000;
const LOOK_AGAIN_MS = 20;

const ROLE = { local: "lp", remote: "rp" } as const;
const MIB = 2 ** 20;
const HOUR_S = 3_600;

export interface Sample {
  /** Since the sampler began. */
  readonly seconds: number;
  /** Resident, V8's heap in use, array buffers: all just after a full collection. */
  readonly rssMib: number;
  readonly heapMib: number;
  readonly buffersMib: number;
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

  /** What memory is in use without garbage. */
  async #memory(side: Side): Promise<NodeJS.MemoryUsage> {
    const lines = () =>
      this.#portals
        .output(side)
        .split("\n")
        .filter((line) => /^memory .*}$/.test(line));
    const before = lines().length;
    process.kill(this.#portals.pid(side), "SIGUSR2");
    for (const endMs = performance.now() + ANSWER_MS; performance.now() < endMs; ) {
      await sleep(LOOK_AGAIN_MS);
      const last = lines().at(-1);
      if (last !== undefined && lines().length > before) {
        return JSON.parse(last.slice("memory ".length)) as NodeJS.MemoryUsage;
      }
    }
    throw new MpfwdError("ERR_HOST", `the ${side} portal does not say how much memory it has`);
  }

  async #look(side: Side): Promise<Sample> {
    const pid = this.#portals.pid(side);
    const memory = await this.#memory(side);
    const { stdout } = await this.#lab.exec(ROLE[side], "nft", ["list", "ruleset"]);
    return {
      seconds: (performance.now() - this.#startMs) / 1_000,
      rssMib: memory.rss / MIB,
      heapMib: memory.heapUsed / MIB,
      buffersMib: memory.arrayBuffers / MIB,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      threads: readdirSync(`/proc/${pid}/task`).length,
      rules: stdout.split("\n").length,
      connections: await this.#lab.connections(ROLE[side]),
    };
  }
}

/** The longest pause that V8 has traced, those apart that the probe has asked for, milliseconds by the wall clock. */
export function longestPauseMs(trace: string): number {
  const own = trace.split("\n").filter((line) => !line.includes("testing"));
  const pauses = own.map((line) => Number(/\) MB, ([\d.]+) \/ /.exec(line)?.[1] ?? 0));
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
