/** Links that die, one way or both, flap, are handed over, and come back. */
import { SeededRandom } from "../../../src/core/random.ts";
import { MS, SECOND, type TimeUs } from "../../../src/core/time.ts";
import { type Cell, runMarked, type Stage, seconds, type Values } from "../cell.ts";
import type { PipeSpec } from "../pipe.ts";
import { SERIES_STEP_US, type Series } from "../record.ts";
import { INNER_MTU } from "../specs.ts";
import type { World } from "../world.ts";
import { reachedUs } from "./changes.ts";
import { link } from "./single.ts";

/** Longest time in which nothing of a flow came, ms. */
function longestGapMs(series: Series, fromUs: TimeUs, toUs: TimeUs): number {
  let gapUs = 0;
  let longestUs = 0;
  for (let us = fromUs; us < toUs; us += SERIES_STEP_US) {
    gapUs = series.sum(us, us + SERIES_STEP_US) > 0 ? 0 : gapUs + SERIES_STEP_US;
    longestUs = Math.max(longestUs, gapUs);
  }
  return longestUs / MS;
}

/** Two links, one silently dies; the other has room for all. */
function failover(name: string, rtts: readonly [number, number], cut: number): Cell {
  const slowest = Math.max(...rtts);
  return {
    name: `failover-${name}`,
    row: "failover",
    checks: [
      { metric: "gapMs", atMost: 3 * slowest },
      { metric: "lostPackets", atMost: 0 },
      { metric: "innerTimeouts", atMost: 0 },
      { metric: "duplicates", atMost: 0 },
    ],
    measure(stage) {
      const world = stage.world({ links: rtts.map((rtt) => link({ rate: 50, rtt })) });
      // 16 Mbit/s of datagrams and a connection that takes what is left.
      const stream = world.stream({ bytes: 1000, everyUs: 500 });
      const tcp = world.tcp();
      return measureFailover(world, stream, tcp, cut);
    },
  };
}

function measureFailover(
  world: World,
  stream: ReturnType<World["stream"]>,
  tcp: ReturnType<World["tcp"]>,
  cut: number,
): Record<string, number> {
  const cutUs = 8 * SECOND;
  // From before the cut on: what was on its way then is what a dead link takes along.
  world.run(cutUs - 200 * MS);
  const first = stream.source.sent;
  world.run(cutUs);
  world.cut(cut);
  world.run(cutUs + 3 * SECOND);
  stream.source.stop();
  world.run(cutUs + 4 * SECOND);
  return {
    gapMs: longestGapMs(stream.sink.received, cutUs, cutUs + 2 * SECOND),
    lostPackets: stream.sink.missing(first, stream.source.sent),
    innerTimeouts: tcp.sender.timeouts,
    duplicates: stream.sink.duplicates,
  };
}

/** A link that is cut for two seconds is used again. */
function rejoin(): Cell {
  return {
    name: "rejoin-after-2s",
    row: "failover",
    checks: [{ metric: "shareAfter", atLeast: 0.9 }],
    measure(stage: Stage) {
      const world = stage.world({
        links: [link({ rate: 50, rtt: 20 }), link({ rate: 50, rtt: 40 })],
      });
      const flow = world.flood();
      world.run(5 * SECOND);
      world.cut(0);
      world.run(7 * SECOND);
      world.restore(0);
      runMarked(world, 12, 17);
      return { shareAfter: flow.sink.goodputMbit() / ((100 * INNER_MTU) / 1500) };
    },
  };
}

/** One link's way back dies, and feedback takes the other: the link goes on carrying. */
function wayBack(): Cell {
  return {
    name: "way-back-dies",
    row: "failover",
    checks: [
      { metric: "shareSoon", atLeast: 0.85 },
      { metric: "shareLater", atLeast: 0.9 },
    ],
    measure(stage: Stage) {
      const world = stage.world({
        links: [link({ rate: 20, rtt: 20 }), link({ rate: 20, rtt: 20 })],
      });
      const { sink } = world.flood();
      world.run(5 * SECOND);
      world.cut(0, "down");
      const full = (40 * INNER_MTU) / 1500;
      runMarked(world, 7, 10);
      const shareSoon = sink.goodputMbit() / full;
      runMarked(world, 20, 25);
      return { shareSoon, shareLater: sink.goodputMbit() / full };
    },
  };
}

/** Two links of 50 Mbit/s and 20 ms. */
const TWO = [link({ rate: 50, rtt: 20 }), link({ rate: 50, rtt: 20 })];
/** What is sent at "half load", of what the surviving link carries: with the thin packets and a tenth to catch up. */
const HALF = 0.87;
/** What one of them carries of inner octets, Mbit/s. */
const ONE_MBIT = (50 * INNER_MTU) / 1500;

type Ways = readonly ("up" | "down")[];

/**
 * Half the bond's capacity in datagrams and 200 thin packets a second each way, while one link or the other
 * is cut, twelve seconds apart and thus no flapping.
 */
function halfLoad(name: string, ways: Ways): Cell {
  return {
    name: `cuts-${name}`,
    row: "failover",
    checks: [
      { metric: "gapMedianMs", atMost: 150 },
      { metric: "gapWorstMs", atMost: 300 },
      { metric: "lostPackets", atMost: 0 },
      { metric: "duplicates", atMost: 0 },
      { metric: "reordered", atMost: 0 },
    ],
    measure(stage) {
      const world = stage.world({ links: TWO });
      const thin = { bytes: 200, everyUs: 5 * MS };
      const streams = [world.stream(thin), world.stream({ ...thin, from: "b" })];
      const bulk = world.stream({ bytes: 1400, everyUs: (1400 * 8) / (HALF * ONE_MBIT) });
      const cutsUs = [0, 1, 2, 3, 4, 5].map((index) => (8 + 12 * index) * SECOND);
      for (const [index, cutUs] of cutsUs.entries()) {
        // Not always at the same moment of a report's turn.
        const atUs = cutUs + index * 3 * MS;
        world.at(atUs, () => world.cut(index % 2, ...ways));
        world.at(atUs + 1500 * MS, () => world.restore(index % 2));
      }
      world.run(76 * SECOND);
      const all = [...streams, bulk];
      for (const { source } of all) source.stop();
      world.run(78 * SECOND);
      const gaps = cutsUs.flatMap((cutUs) =>
        all.map(({ sink }) => longestGapMs(sink.received, cutUs, cutUs + SECOND)),
      );
      gaps.sort((a, b) => a - b);
      const sum = (pick: (stream: (typeof all)[number]) => number) =>
        all.reduce((total, stream) => total + pick(stream), 0);
      return {
        gapMedianMs: gaps[gaps.length >> 1] ?? Number.NaN,
        gapWorstMs: gaps.at(-1) ?? Number.NaN,
        lostPackets: sum(({ source, sink }) => sink.missing(0, source.sent)),
        duplicates: sum(({ sink }) => sink.duplicates),
        reordered: bulk.sink.reordered,
      };
    },
  };
}

/** One of two links dies every second for half a second: the other is not to suffer. */
function flapping(): Cell {
  return {
    name: "flapping-1-hz",
    row: "failover",
    checks: [
      { metric: "stableShare", atLeast: 0.95 },
      { metric: "tcpShare", atLeast: 0.95 },
      { metric: "backS", atMost: 3 },
      { metric: "duplicates", atMost: 0 },
    ],
    measure(stage) {
      const flap = (world: World) => {
        for (let second = 5; second < 35; second += 1) {
          world.at(second * SECOND, () => world.cut(1));
          world.at(second * SECOND + 500 * MS, () => world.restore(1));
        }
      };
      const flood = stage.world({ links: TWO });
      const { sink } = flood.flood();
      flap(flood);
      runMarked(flood, 5, 35);
      const stable = flood.paths[0]?.up.utilisation() ?? 0;
      flood.run(45 * SECOND);
      const passed = flood.paths[1]?.up.passed;
      const backUs = passed === undefined ? Infinity : backTo90Us(passed, 34.5 * SECOND, 50);
      const one = stage.world({ links: TWO });
      const tcp = one.tcp();
      flap(one);
      runMarked(one, 5, 35);
      return {
        stableShare: stable,
        tcpShare: tcp.goodputMbit() / ONE_MBIT,
        backS: seconds(backUs),
        duplicates: sink.duplicates,
      };
    },
  };
}

/** One direction of a link dies; traffic flows both ways. The other direction of it is to go on as before. */
function oneWay(name: string, dead: "up" | "down"): Cell {
  const alive = dead === "up" ? "down" : "up";
  return {
    name: `one-way-${name}`,
    row: "failover",
    checks: [
      { metric: "aliveShare", atLeast: 0.95 },
      { metric: "duplicates", atMost: 0 },
    ],
    measure(stage) {
      const world = stage.world({ links: TWO });
      const sinks = [world.flood().sink, world.flood({ from: "b" }).sink];
      runMarked(world, 5, 15);
      const before = world.paths[0]?.[alive].arrivedMbit() ?? Number.NaN;
      world.cut(0, dead);
      runMarked(world, 16, 26);
      return {
        aliveShare: (world.paths[0]?.[alive].arrivedMbit() ?? 0) / before,
        duplicates: sinks.reduce((sum, { duplicates }) => sum + duplicates, 0),
      };
    },
  };
}

/** A satellite link alone: every 15 s nothing passes for 100 to 300 ms, and then the way is another. */
function handOvers(): Cell {
  return {
    name: "hand-overs-silent-15s",
    row: "changing links",
    checks: [
      { metric: "utilisation", atLeast: 0.9 },
      { metric: "backWorstS", atMost: 1 },
      { metric: "queueP95Ms" },
    ],
    measure(stage) {
      const random = new SeededRandom(stage.seed * 6_151 + 5);
      const delays: [number, number][] = [[0, 20]];
      const cuts: [number, number][] = [];
      for (let atMs = 15_000; atMs < 75_000; atMs += 15_000) {
        cuts.push([atMs, atMs + 100 + 200 * random.next()]);
        delays.push([atMs, 12 + 25 * random.next()]);
      }
      const up: PipeSpec = { rateMbit: 100, delayMs: delays, jitterMs: 4, queueMs: 120, cuts };
      const world = stage.world({ links: [{ up, down: { ...up, rateMbit: 20 } }] });
      world.flood();
      runMarked(world, 10, 75);
      const pipe = world.paths[0]?.up;
      if (pipe === undefined) return {};
      const backs = cuts.map(([, endMs]) => backTo90Us(pipe.passed, endMs * MS, 100));
      return {
        utilisation: pipe.utilisation(),
        backWorstS: seconds(Math.max(...backs)),
        queueP95Ms: pipe.queueDelay.quantileMs(0.95),
      };
    },
  };
}

/** A link of two that was away for so long: when it carries 0.9 of its rate again. */
function regained(awayS: number): Cell {
  return {
    name: `regained-after-${awayS}s`,
    row: "failover",
    checks: [{ metric: "backS", atMost: 3 }],
    measure(stage) {
      const world = stage.world({ links: TWO });
      world.flood();
      world.run(5 * SECOND);
      world.cut(0);
      world.run((5 + awayS) * SECOND);
      world.restore(0);
      world.run((10 + awayS) * SECOND);
      const passed = world.paths[0]?.up.passed;
      if (passed === undefined) return {};
      return { backS: seconds(backTo90Us(passed, (5 + awayS) * SECOND, 50)) };
    },
  };
}

/** Everything dies for three seconds. */
function allDead(): Cell {
  return {
    name: "all-dead-3s",
    row: "failover",
    checks: [
      { metric: "backS", atMost: 2 },
      { metric: "duplicates", atMost: 0 },
    ],
    measure(stage): Values {
      const world = stage.world({ links: TWO });
      const { sink } = world.flood();
      world.run(5 * SECOND);
      for (const path of [0, 1]) world.cut(path);
      world.run(8 * SECOND);
      for (const path of [0, 1]) world.restore(path);
      world.run(13 * SECOND);
      const backUs = reachedUs(sink.received, 8 * SECOND, 100 * MS, (0.9 * 2 * ONE_MBIT) / 8);
      return { backS: seconds(backUs), duplicates: sink.duplicates };
    },
  };
}

/** From `fromUs` until nine tenths of a rate (Mbit/s) pass for a tenth of a second. */
function backTo90Us(passed: Series, fromUs: TimeUs, rateMbit: number): number {
  return reachedUs(
    passed,
    Math.ceil(fromUs / SERIES_STEP_US) * SERIES_STEP_US,
    100 * MS,
    (0.9 * rateMbit) / 8,
  );
}

export function failoverCells(): Cell[] {
  return [
    failover("equal", [20, 20], 0),
    failover("fast-dies", [20, 60], 0),
    failover("slow-dies", [20, 60], 1),
    halfLoad("both-ways", []),
    halfLoad("up-only", ["up"]),
    halfLoad("down-only", ["down"]),
    flapping(),
    rejoin(),
    regained(2),
    regained(30),
    wayBack(),
    oneWay("up-dies", "up"),
    oneWay("down-dies", "down"),
    allDead(),
    handOvers(),
  ];
}
