/** One link alone under a flood: utilisation and queue over rates, round trips, buffers, jitter and loss. */
import { MS } from "../../../src/core/time.ts";
import { type Cell, type Check, runMarked, type Stage, type Values } from "../cell.ts";
import type { LossSpec } from "../loss.ts";
import type { PipeSpec } from "../pipe.ts";
import { INNER_MTU, type LinkSpec } from "../specs.ts";
import type { Flood } from "../udp.ts";
import type { UdpFlow, World } from "../world.ts";

/** Octets that a single link adds to an inner packet: outer header, preamble, tag. */
const ADDED = 38;
const PACKET_BYTES = INNER_MTU + ADDED;

interface Single {
  readonly rate: number;
  readonly rtt: number;
  /** Buffer in bandwidth-delay products; default 4, and no less than 40 ms. */
  readonly bdp?: number;
  readonly up?: Partial<PipeSpec>;
  readonly down?: Partial<PipeSpec>;
  readonly outerEcn?: boolean;
  readonly fromS?: number;
  readonly toS?: number;
}

export function link({ rate, rtt, bdp, up, down }: Single): LinkSpec {
  const queueMs = bdp === undefined ? Math.max(4 * rtt, 40) : bdp * rtt;
  const pipe: PipeSpec = { rateMbit: rate, delayMs: rtt / 2, queueMs };
  return { up: { ...pipe, ...up }, down: { ...pipe, ...down } };
}

/** Share of what the bottleneck could carry in full packets. */
function utilisation(flow: UdpFlow<Flood>, capacityMbit: number): number {
  return (flow.sink.goodputMbit() * PACKET_BYTES) / INNER_MTU / capacityMbit;
}

export function measureSingle(stage: Stage, single: Single): Values {
  const { rate, rtt, fromS = Math.max(5, (40 * rtt) / 1000), toS = fromS + 20 } = single;
  const { outerEcn = true } = single;
  const world = stage.world({ links: [link(single)], outerEcn });
  const flow = world.flood();
  runMarked(world, fromS, toS);
  return {
    utilisation: utilisation(flow, single.up?.policer?.rateMbit ?? rate),
    ...queueValues(world),
    loss: world.paths[0]?.up.lossShare() ?? 0,
    reordered: flow.sink.reordered / Math.max(flow.sink.packets, 1),
    duplicates: flow.sink.duplicates,
    feedback: feedbackShare(world),
  };
}

/** Octets on the way back, all of them feedback, for each octet on the way there. */
function feedbackShare(world: World): number {
  const path = world.paths[0];
  return path === undefined ? 0 : path.down.counts.arrivedBytes / path.up.counts.arrivedBytes;
}

export function queueValues(world: World, path = 0): { queueP50Ms: number; queueP95Ms: number } {
  const delay = world.paths[path]?.up.queueDelay;
  return {
    queueP50Ms: delay?.quantileMs(0.5) ?? 0,
    queueP95Ms: delay?.quantileMs(0.95) ?? 0,
  };
}

/** Above 10 Mbit/s 15 ms; below as long as four packets take. */
export function queueTargetMs(rate: number): number {
  const packetsMs = (4 * 1500 * 8) / (rate * MS);
  return rate > 10 ? 15 : Math.max(packetsMs, 15);
}

function single(name: string, row: string, spec: Single, ...checks: readonly Check[]): Cell {
  const measure = (stage: Stage) => measureSingle(stage, spec);
  return { name, row, checks: [...checks, { metric: "duplicates", atMost: 0 }], measure };
}

/** Wanted of packets that came out behind later ones of their flow, where none is lost. */
const IN_ORDER: Check = { metric: "reordered", atMost: 0.0001 };

/** Share of the forward octets that feedback may cost. */
const FEEDBACK_MAX = 0.02;

/** [Mbit/s, ms of round trip, seconds of warm-up, end] */
const GRID: readonly (readonly [rate: number, rtt: number, fromS?: number, toS?: number])[] = [
  [1, 20],
  [1, 50],
  [1, 300],
  [10, 2],
  [10, 20],
  [10, 50],
  [10, 100],
  [10, 600],
  [100, 2],
  [100, 20],
  [100, 50],
  [100, 100],
  [100, 300],
  [100, 600],
  [1000, 2, 3, 6],
  [1000, 20, 3, 8],
  [1000, 100, 6, 12],
  [10_000, 10, 1, 2],
];

function grid(): Cell[] {
  return GRID.map(([rate, rtt, fromS, toS]) => {
    const times = fromS === undefined || toS === undefined ? {} : { fromS, toS };
    const wanted = rtt <= 100 ? 0.95 : 0.9;
    return single(
      `single-${rate}M-${rtt}ms`,
      "utilisation, one link",
      { rate, rtt, ...times },
      { metric: "utilisation", atLeast: wanted },
      { metric: "queueP95Ms", atMost: queueTargetMs(rate) },
      { metric: "feedback", ...(rate >= 10 ? { atMost: FEEDBACK_MAX } : {}) },
      IN_ORDER,
    );
  });
}

function buffers(): Cell[] {
  const shapes: [name: string, spec: Partial<Single>][] = [
    ["quarter-bdp", { bdp: 0.25 }],
    ["1-bdp", { bdp: 1 }],
    ["16-bdp", { bdp: 16 }],
    ["codel", { up: { codel: true } }],
    ["codel-no-ecn", { up: { codel: true }, outerEcn: false }],
    ["codel-ecn-cleared", { up: { codel: true, ecn: "cleared" } }],
    ["ect-dropped", { up: { ecn: "dropped" } }],
  ];
  const cells: Cell[] = [];
  for (const [rate, rtt] of [
    [10, 50],
    [100, 20],
  ] as const) {
    for (const [name, shape] of shapes) {
      cells.push(
        single(
          `buffer-${rate}M-${rtt}ms-${name}`,
          "utilisation, buffers",
          { rate, rtt, ...shape },
          { metric: "utilisation", atLeast: 0.95 },
          { metric: "queueP95Ms", atMost: queueTargetMs(rate) },
        ),
      );
    }
  }
  return cells;
}

function jitters(): Cell[] {
  const both = (jitterMs: number) => ({ up: { jitterMs }, down: { jitterMs } });
  const shapes: [name: string, spec: Single][] = [
    ["jitter-5-50M-40ms", { rate: 50, rtt: 40, ...both(5) }],
    ["jitter-10-50M-40ms", { rate: 50, rtt: 40, ...both(10) }],
    ["jitter-20-50M-40ms", { rate: 50, rtt: 40, ...both(20) }],
    ["jitter-20-10M-60ms", { rate: 10, rtt: 60, ...both(20) }],
    ["jitter-5-100M-20ms", { rate: 100, rtt: 20, ...both(5) }],
    ["ack-aggregation-10ms", { rate: 50, rtt: 40, down: { aggregateMs: 10 } }],
    ["radio-grants-10ms", { rate: 50, rtt: 40, up: { aggregateMs: 10 } }],
  ];
  return shapes.map(([name, spec]) =>
    single(
      name,
      "utilisation, jitter",
      { ...spec, fromS: 8, toS: 38 },
      { metric: "utilisation", atLeast: 0.95 },
      { metric: "queueP95Ms", atMost: 15 },
      IN_ORDER,
    ),
  );
}

function losses(): Cell[] {
  const shapes: [name: string, loss: LossSpec, wanted: number][] = [
    ["0.1", { kind: "random", share: 0.001 }, 0.95],
    ["1", { kind: "random", share: 0.01 }, 0.95],
    ["5", { kind: "random", share: 0.05 }, 0.9],
    ["bursts-1", { kind: "bursts", share: 0.01, burst: 5 }, 0.95],
  ];
  const cells: Cell[] = [];
  for (const [rate, rtt] of [
    [20, 50],
    [100, 20],
  ] as const) {
    for (const [name, loss, wanted] of shapes) {
      const spec = { rate, rtt, up: { loss }, fromS: 8, toS: 28 };
      cells.push(
        single(
          `loss-${name}-${rate}M-${rtt}ms`,
          "random loss",
          spec,
          { metric: "utilisation", atLeast: wanted },
          { metric: "queueP95Ms", atMost: 15 },
        ),
      );
    }
  }
  return cells;
}

function policers(): Cell[] {
  const policer = { rateMbit: 20, burstBytes: 60_000 };
  return [20, 50].map((rtt) =>
    single(
      `policer-20-of-100M-${rtt}ms`,
      "policer",
      { rate: 100, rtt, up: { policer }, fromS: 10, toS: 40 },
      { metric: "utilisation", atLeast: 0.93 },
      { metric: "loss", atMost: 0.03 },
    ),
  );
}

/** The way back is full of somebody else's upload. */
function ackPath(): Cell {
  return {
    name: "ack-path-congested",
    row: "utilisation, one link",
    checks: [{ metric: "utilisation", atLeast: 0.9 }, { metric: "queueP95Ms" }],
    measure(stage) {
      const down = { rateMbit: 5, delayMs: 20, queueMs: 100 };
      const up = { rateMbit: 50, delayMs: 20, queueMs: 160 };
      const world = stage.world({ links: [{ up, down }] });
      world.tcp({ from: "b", beside: 0 });
      const flow = world.flood();
      runMarked(world, 5, 25);
      return { utilisation: utilisation(flow, 50), ...queueValues(world) };
    },
  };
}

function bidirectional(): Cell {
  return {
    name: "both-ways-50M-40ms",
    row: "utilisation, one link",
    checks: [
      { metric: "utilisation", atLeast: 0.93 },
      { metric: "utilisationBack", atLeast: 0.93 },
      { metric: "queueP95Ms", atMost: 15 },
    ],
    measure(stage) {
      const world = stage.world({ links: [link({ rate: 50, rtt: 40 })] });
      const forth = world.flood();
      const back = world.flood({ from: "b" });
      runMarked(world, 5, 25);
      return {
        utilisation: utilisation(forth, 50),
        utilisationBack: utilisation(back, 50),
        ...queueValues(world),
      };
    },
  };
}

export function singleCells(): Cell[] {
  return [
    ...grid(),
    ackPath(),
    bidirectional(),
    ...buffers(),
    ...jitters(),
    ...losses(),
    ...policers(),
  ];
}
