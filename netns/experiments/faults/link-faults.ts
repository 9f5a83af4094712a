/** What links do: fall silent in one direction or both, lose, flap, hand over, all at once. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Direction } from "../../emulator/control.ts";
import { NO_MIDDLEBOX, parseMiddlebox } from "../../topology/middlebox.ts";
import { during, type Fault, LINK, repeatedly } from "./fault.ts";

const BOTH: readonly Direction[] = ["up", "down"];

function cut(name: string, summary: string, directions: readonly Direction[]): Fault {
  return {
    name,
    summary,
    holds: { full: 5, brief: 2 },
    act: during(
      ({ lab }) => lab.impair(1, { cut: true }, directions),
      ({ lab }) => lab.restore(1),
    ),
    demands: [
      ["outage_ms", "<=", 300],
      ["lost", "==", 0],
      ["recovery_s", "<=", 3],
    ],
  };
}

/** Bits per second of the flow in the direction that dies: one link carries it, and what answers the other one. */
const DYING_PACE = 30e6;
/** Both directions of the way that dies are judged: the one that lives is needed for what goes there. */
function oneWay(dies: Direction, lives: Direction): Fault {
  const both = cut(`cut-${dies}`, `link 1 is cut on the way ${dies}`, [dies]);
  const demands: Fault["demands"] = [...both.demands, ["living_rate", ">=", 0.9]];
  return { ...both, pace: DYING_PACE, lives, demands };
}

const lossy: Fault = {
  name: "loss-30",
  summary: "link 1 loses 30 % on the way up",
  holds: { full: 10, brief: 4 },
  act: during(
    ({ lab }) => lab.impair(1, { loss: 0.3 }, ["up"]),
    ({ lab }) => lab.impair(1, { loss: 0 }, ["up"]),
  ),
  demands: [
    ["outage_ms", "<=", 300],
    ["recovery_s", "<=", 3],
  ],
};

const FLAP_MS = 500;
const ALONE_MS = 4_000;

/** Under full load; what link 2 carries alone is measured just before. */
const flapping: Fault = {
  name: "flapping",
  summary: "link 1 is cut and restored once a second",
  pace: null,
  holds: { full: 20, brief: 8 },
  act: async (scene) => {
    const { lab } = scene;
    const goodput = async () => (await scene.portals.status("remote")).bytesIn;
    await lab.cut(1);
    await sleep(ALONE_MS / 2);
    const [startMs, before] = [performance.now(), await goodput()];
    await sleep(ALONE_MS / 2);
    const [middleMs, middle] = [performance.now(), await goodput()];
    await repeatedly(scene, 2 * FLAP_MS, async () => {
      await lab.restore(1);
      await sleep(FLAP_MS);
      await lab.cut(1);
    });
    const [endMs, after] = [performance.now(), await goodput()];
    scene.over();
    await lab.restore(1);
    const alone = (middle - before) / (middleMs - startMs);
    return { of_stable: Math.round(((after - middle) / (endMs - middleMs) / alone) * 1e3) / 1e3 };
  },
  tail: 12,
  demands: [["of_stable", ">=", 0.95]],
};

const allDead: Fault = {
  name: "all-dead",
  summary: "both links are cut, and return",
  holds: { full: 10, brief: 4 },
  act: during(
    ({ lab }) => Promise.all([lab.cut(1), lab.cut(2)]),
    ({ lab }) => Promise.all([lab.restore(1), lab.restore(2)]),
  ),
  tail: 10,
  demands: [["back_ms", "<=", 1_000]],
};

/** Seconds between hand-overs. */
const LEO_CYCLE_MS = 5_000;
const LEO_OUTAGE_MS = 200;
const LEO_DELAYS_US = [35_000, 20_000, 28_000];

/** A satellite link by itself: what it carries through hand-overs, of what it carries without. */
const leo: Fault = {
  name: "leo",
  summary: "a satellite link hands over: 200 ms of nothing, then another delay",
  links: ["rate=50mbit,delay=25ms,live"],
  pace: null,
  holds: { full: 20, brief: 10 },
  act: async (scene) => {
    await repeatedly(scene, LEO_CYCLE_MS, async (round) => {
      await scene.lab.cut(1);
      await sleep(LEO_OUTAGE_MS);
      const delayUs = LEO_DELAYS_US[round % LEO_DELAYS_US.length] as number;
      await scene.lab.impair(1, { delayUs, cut: false }, BOTH);
    });
    return undefined;
  },
  demands: [["rate_during", ">=", 0.85]],
};

/** As a tunnel of the provider's makes it, with a firewall that lets nobody know. */
const NARROW = parseMiddlebox("drop=icmp,longer=any@1400");

function narrowed(name: string, summary: string, links: readonly string[]): Fault {
  return {
    name,
    summary,
    links,
    pace: 20e6,
    holds: { full: 8, brief: 5 },
    act: during(
      ({ lab }) => lab.middlebox(1, NARROW),
      ({ lab }) => lab.middlebox(1, NO_MIDDLEBOX),
    ),
    demands: [
      ["tcp_stall_ms", "<=", 2_000],
      ["outage_ms", "<=", 300],
      ["lost", "==", 0],
    ],
  };
}

export const LINK_FAULTS: readonly Fault[] = [
  cut("cut-both", "link 1 is cut, both ways", BOTH),
  oneWay("up", "down"),
  oneWay("down", "up"),
  lossy,
  flapping,
  allDead,
  leo,
  narrowed("mtu-shrinks", "the only link's path shrinks from 1500 to 1400 octets in silence", [
    LINK,
  ]),
  narrowed("mtu-shrinks-of-one", "link 1's path shrinks from 1500 to 1400 octets in silence", [
    LINK,
    LINK,
  ]),
];
