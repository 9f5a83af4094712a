/** Several links: what they carry together against what each carries alone, and against the best alone. */
import { type Cell, type Check, runMarked, type Stage, type Values } from "../cell.ts";
import type { LinkSpec } from "../specs.ts";
import type { World } from "../world.ts";
import { link } from "./single.ts";

const FROM_S = 8;
const TO_S = 24;

/** What is sent: a backlog of datagrams, or so many TCP connections. */
export type Load =
  | { readonly kind: "flood" }
  | { readonly kind: "tcp"; readonly law: "cubic" | "bbr"; readonly flows: number };

export type LoadResult = {
  readonly goodputMbit: number;
  readonly reordered: number;
  readonly duplicates: number;
  readonly timeouts: number;
};

/** Runs a load from A to B between the two moments and says what came through. */
export function carry(world: World, load: Load, fromS: number, toS: number): LoadResult {
  if (load.kind === "flood") {
    const { sink } = world.flood();
    runMarked(world, fromS, toS);
    const reordered = sink.reordered / Math.max(sink.packets, 1);
    return {
      goodputMbit: sink.goodputMbit(),
      reordered,
      duplicates: sink.duplicates,
      timeouts: 0,
    };
  }
  const flows = Array.from({ length: load.flows }, (_, index) =>
    world.tcp({ law: load.law, startUs: index * 20_000 }),
  );
  runMarked(world, fromS, toS);
  return {
    goodputMbit: flows.reduce((sum, flow) => sum + flow.goodputMbit(), 0),
    reordered: 0,
    duplicates: 0,
    timeouts: flows.reduce((sum, { sender }) => sum + sender.timeouts, 0),
  };
}

interface Profile {
  readonly name: string;
  readonly links: readonly LinkSpec[];
  /** Wanted share of the sum of what each link carries alone; without: no less than the best alone. */
  readonly sum?: number;
}

const lossy = { up: { loss: { kind: "random", share: 0.02 } as const } };
const policed = { up: { policer: { rateMbit: 20, burstBytes: 60_000 } } };

const equal = (count: number, rate: number, rtt: number) =>
  Array.from({ length: count }, () => link({ rate, rtt }));

export const PROFILES: readonly Profile[] = [
  { name: "two-equal", links: equal(2, 50, 20), sum: 0.95 },
  { name: "four-equal", links: equal(4, 25, 20), sum: 0.9 },
  { name: "eight-equal", links: equal(8, 20, 30), sum: 0.9 },
  {
    name: "rates-5-to-1",
    links: [link({ rate: 100, rtt: 20 }), link({ rate: 20, rtt: 30 })],
    sum: 0.9,
  },
  { name: "rates-25-to-1", links: [link({ rate: 50, rtt: 20 }), link({ rate: 2, rtt: 60 })] },
  {
    name: "delays-10-and-60",
    links: [link({ rate: 50, rtt: 20 }), link({ rate: 50, rtt: 120 })],
    sum: 0.9,
  },
  {
    name: "delays-10-and-40",
    links: [link({ rate: 50, rtt: 20 }), link({ rate: 50, rtt: 80 })],
    sum: 0.9,
  },
  {
    name: "one-lossy",
    links: [link({ rate: 50, rtt: 20 }), link({ rate: 50, rtt: 40, ...lossy })],
  },
  {
    name: "one-policed",
    links: [link({ rate: 50, rtt: 20 }), link({ rate: 100, rtt: 30, ...policed })],
  },
  {
    name: "one-satellite",
    links: [link({ rate: 50, rtt: 40 }), link({ rate: 50, rtt: 600, bdp: 1 })],
  },
  {
    name: "one-with-jitter",
    links: [
      link({ rate: 50, rtt: 20 }),
      link({ rate: 30, rtt: 60, up: { jitterMs: 20 }, down: { jitterMs: 20 } }),
    ],
  },
];

/** Share of the sum, and gain over the best, against each link alone under the same load. */
function measureProfile(stage: Stage, profile: Profile, load: Load): Values {
  const together = carry(stage.world({ links: profile.links }), load, FROM_S, TO_S);
  const alone = profile.links.map((only) =>
    stage.once(JSON.stringify([only, load]), () => {
      return carry(stage.world({ links: [only] }), load, FROM_S, TO_S).goodputMbit;
    }),
  );
  return {
    shareOfSum: together.goodputMbit / alone.reduce((sum, goodput) => sum + goodput, 0),
    gainOverBest: together.goodputMbit / Math.max(...alone),
    ...together,
  };
}

const LOADS: readonly (readonly [name: string, load: Load])[] = [
  ["flood", { kind: "flood" }],
  ["1-cubic", { kind: "tcp", law: "cubic", flows: 1 }],
  ["1-bbr", { kind: "tcp", law: "bbr", flows: 1 }],
  ["32-cubic", { kind: "tcp", law: "cubic", flows: 32 }],
];

/** Eight links cost the most time and differ from four by little. */
function loadsFor(profile: Profile): typeof LOADS {
  return profile.links.length > 4 ? LOADS.slice(0, 2) : LOADS;
}

export function bondCells(): Cell[] {
  return PROFILES.flatMap((profile) =>
    loadsFor(profile).map(([loadName, load]): Cell => {
      const checks: Check[] = [
        { metric: "shareOfSum", ...(profile.sum === undefined ? {} : { atLeast: profile.sum }) },
        { metric: "gainOverBest", atLeast: 0.97 },
      ];
      if (load.kind === "flood") {
        const lossless = profile.sum !== undefined;
        checks.push({ metric: "reordered", ...(lossless ? { atMost: 0.0001 } : {}) });
        checks.push({ metric: "duplicates", atMost: 0 });
      }
      return {
        name: `bond-${profile.name}-${loadName}`,
        row: "aggregate",
        checks,
        measure: (stage) => measureProfile(stage, profile, load),
      };
    }),
  );
}
