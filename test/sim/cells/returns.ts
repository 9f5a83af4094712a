/** Links that come back, once or again and again, alone or all together: how soon they carry what they did. */
import { SeededRandom } from "../../../src/core/random.ts";
import { MS, SECOND, type TimeUs } from "../../../src/core/time.ts";
import { type Cell, runMarked, type Stage, seconds, type Values } from "../cell.ts";
import type { PipeSpec } from "../pipe.ts";
import { SERIES_STEP_US, type Series } from "../record.ts";
import { INNER_MTU } from "../specs.ts";
import type { World } from "../world.ts";
import { reachedUs } from "./changes.ts";
import { ONE_MBIT, TWO } from "./failovers.ts";
import { link } from "./single.ts";

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

export function returnCells(): Cell[] {
  return [flapping(), rejoin(), regained(2), regained(30), allDead(), handOvers()];
}
