/** What changes while traffic flows: start, steps, outages, hand-overs, a radio's rate. */
import { SeededRandom } from "../../../src/core/random.ts";
import { MS, SECOND, type TimeUs } from "../../../src/core/time.ts";
import { type Cell, runMarked, seconds } from "../cell.ts";
import type { PipeSpec } from "../pipe.ts";
import { SERIES_STEP_US, type Series } from "../record.ts";
import type { StepsSpec } from "../steps.ts";
import { link, queueValues } from "./single.ts";

/** From `fromUs` until the amount that passes in `windowUs` reaches the rate (octets per us); Infinity: not. */
export function reachedUs(series: Series, fromUs: TimeUs, windowUs: number, rate: number): number {
  const wanted = rate * windowUs;
  for (let us = fromUs + windowUs; us <= series.length * SERIES_STEP_US; us += SERIES_STEP_US) {
    if (series.sum(us - windowUs, us) >= wanted) return us - fromUs;
  }
  return Number.POSITIVE_INFINITY;
}

/** From `fromUs` until the queue stays below `limitUs` for 200 ms. */
function calmUs(series: Series, fromUs: TimeUs, limitUs: number): number {
  const heldUs = 200 * MS;
  for (let us = fromUs; us + heldUs <= series.length * SERIES_STEP_US; us += SERIES_STEP_US) {
    if (series.max(us, us + heldUs) < limitUs) return us - fromUs;
  }
  return Number.POSITIVE_INFINITY;
}

/** Windows for rates: no shorter than a round trip's bursts. */
const windowFor = (rtt: number) => Math.ceil(Math.max(50, rtt) / 10) * 10 * MS;

function start(rate: number, rtt: number, jitterMs = 0): Cell {
  return {
    name: `start-${rate}M-${rtt}ms${jitterMs > 0 ? `-jitter-${jitterMs}` : ""}`,
    row: "start-up",
    checks: [
      { metric: "to90S", atMost: (10 * rtt + 100) / 1000 },
      { metric: "overshootMs", atMost: Math.max(50, rtt) },
    ],
    measure(stage) {
      const spec = { rate, rtt, up: { jitterMs }, down: { jitterMs } };
      const world = stage.world({ links: [link(spec)] });
      world.flood();
      world.run(8 * SECOND);
      const pipe = world.paths[0]?.up;
      if (pipe === undefined) return {};
      const to90Us = reachedUs(pipe.passed, 0, windowFor(rtt), 0.9 * pipe.rate.max);
      return {
        to90S: seconds(to90Us),
        overshootMs: pipe.waits.max(0, 5 * SECOND) / MS,
        dropped: pipe.counts.dropped,
      };
    },
  };
}

function steps(): Cell {
  const atMs = [15_000, 30_000] as const;
  return {
    name: "steps-50-10-50M-40ms",
    row: "steps",
    checks: [
      { metric: "downToCalmS", atMost: 1 },
      { metric: "upTo90S", atMost: 2 },
      { metric: "queueP95Ms" },
    ],
    measure(stage) {
      const rateMbit: StepsSpec = [
        [0, 50],
        [atMs[0], 10],
        [atMs[1], 50],
      ];
      const pipeSpec: PipeSpec = { rateMbit, delayMs: 20, queueMs: 300 };
      const world = stage.world({ links: [{ up: pipeSpec }] });
      world.flood();
      runMarked(world, 5, 45);
      const pipe = world.paths[0]?.up;
      if (pipe === undefined) return {};
      return {
        downToCalmS: seconds(calmUs(pipe.waits, atMs[0] * MS, 25 * MS)),
        upTo90S: seconds(reachedUs(pipe.passed, atMs[1] * MS, 50 * MS, 0.9 * pipe.rate.max)),
        ...queueValues(world),
      };
    },
  };
}

function outage(): Cell {
  return {
    name: "outage-2s-100M-40ms",
    row: "steps",
    checks: [{ metric: "backTo90S", atMost: 2 }],
    measure(stage) {
      const rateMbit: StepsSpec = [
        [0, 100],
        [10_000, 0],
        [12_000, 100],
      ];
      const world = stage.world({ links: [{ up: { rateMbit, delayMs: 20, queueMs: 160 } }] });
      world.flood();
      world.run(20 * SECOND);
      const pipe = world.paths[0]?.up;
      if (pipe === undefined) return {};
      // What waited through the outage leaves at full rate at once: look behind it.
      const fromUs = 12_200 * MS;
      const backUs = reachedUs(pipe.passed, fromUs, 100 * MS, 0.9 * pipe.rate.max);
      return { backTo90S: seconds(backUs) + 0.2 };
    },
  };
}

/** Every 15 s another satellite: delay and rate jump, half a second of loss in some of them. */
function constellation(): Cell {
  return {
    name: "starlink-like-15s",
    row: "changing links",
    checks: [
      { metric: "utilisation", atLeast: 0.9 },
      { metric: "queueP95Ms", atMost: 25 },
    ],
    measure(stage) {
      const random = new SeededRandom(stage.seed * 7919 + 1);
      const rates: [number, number][] = [];
      const delays: [number, number][] = [];
      for (let atMs = 0; atMs < 65_000; atMs += 15_000) {
        rates.push([atMs, 80 + 120 * random.next()]);
        delays.push([atMs, 12 + 25 * random.next()]);
      }
      const up: PipeSpec = { rateMbit: rates, delayMs: delays, jitterMs: 6, queueMs: 120 };
      const down: PipeSpec = { rateMbit: 20, delayMs: delays, jitterMs: 6, queueMs: 120 };
      const world = stage.world({ links: [{ up, down }] });
      world.flood();
      runMarked(world, 5, 65);
      return { utilisation: world.paths[0]?.up.utilisation() ?? 0, ...queueValues(world) };
    },
  };
}

/** A radio whose rate wanders between 5 and 60 Mbit/s, a tenth of a second at a time. */
function radio(): Cell {
  return {
    name: "lte-like-trace",
    row: "changing links",
    checks: [
      { metric: "utilisation", atLeast: 0.8 },
      { metric: "queueP95Ms", atMost: 60 },
    ],
    measure(stage) {
      const random = new SeededRandom(stage.seed * 104_729 + 3);
      const rates: [number, number][] = [];
      let rate = 30;
      for (let atMs = 0; atMs < 45_000; atMs += 100) {
        rate = Math.min(Math.max(rate * Math.exp(0.3 * (random.next() - 0.5)), 5), 60);
        rates.push([atMs, rate]);
      }
      const up: PipeSpec = { rateMbit: rates, delayMs: 20, jitterMs: 8, queueMs: 400 };
      const down: PipeSpec = { rateMbit: 15, delayMs: 20, jitterMs: 8, queueMs: 200 };
      const world = stage.world({ links: [{ up, down }] });
      world.flood();
      runMarked(world, 5, 45);
      return { utilisation: world.paths[0]?.up.utilisation() ?? 0, ...queueValues(world) };
    },
  };
}

export function changeCells(): Cell[] {
  return [
    start(10, 50),
    start(100, 20),
    start(100, 100),
    start(50, 40, 10),
    start(1000, 20),
    steps(),
    outage(),
    constellation(),
    radio(),
  ];
}
