/** Links that die, one way or both: what is sent meanwhile comes, all of it and soon, by those that are left. */
import { MS, SECOND, type TimeUs } from "../../../src/core/time.ts";
import { type Cell, runMarked, type Stage } from "../cell.ts";
import { SERIES_STEP_US, type Series } from "../record.ts";
import { INNER_MTU } from "../specs.ts";
import type { World } from "../world.ts";
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

/** Two links of 50 Mbit/s and 20 ms. */
export const TWO = [link({ rate: 50, rtt: 20 }), link({ rate: 50, rtt: 20 })];

/** What one of them carries of inner octets, Mbit/s. */
export const ONE_MBIT = (50 * INNER_MTU) / 1500;

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

/** What is sent at "half load", of what the surviving link carries: with the thin packets and a tenth to catch up. */
const HALF = 0.87;

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

export function failoverCells(): Cell[] {
  return [
    failover("equal", [20, 20], 0),
    failover("fast-dies", [20, 60], 0),
    failover("slow-dies", [20, 60], 1),
    halfLoad("both-ways", []),
    halfLoad("up-only", ["up"]),
    halfLoad("down-only", ["down"]),
    wayBack(),
    oneWay("up-dies", "up"),
    oneWay("down-dies", "down"),
  ];
}
