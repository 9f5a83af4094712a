/** A bottleneck shared with others: tunnels of the same kind, plain TCP beside the tunnel. */
import { type Cell, type Check, runMarked } from "../cell.ts";
import type { TcpFlow } from "../tcp.ts";
import { link } from "./single.ts";

/** Raj Jain's index: 1 when all are equal, 1/n when one has all. */
export function jain(rates: readonly number[]): number {
  const sum = rates.reduce((total, rate) => total + rate, 0);
  const squares = rates.reduce((total, rate) => total + rate * rate, 0);
  return squares === 0 ? 0 : (sum * sum) / (rates.length * squares);
}

interface Tunnels {
  readonly name: string;
  readonly count: number;
  readonly extraDelayMs?: number;
  readonly checks: readonly Check[];
}

function tunnels({ name, count, extraDelayMs, checks }: Tunnels): Cell {
  return {
    name,
    row: "fairness",
    checks,
    measure(stage) {
      const world = stage.world({ links: [link({ rate: 50, rtt: 40 })] });
      const more = Array.from({ length: count - 1 }, () =>
        world.addTunnel(extraDelayMs === undefined ? {} : { extraDelayMs }),
      );
      const flows = [world.tunnel, ...more].map((tunnel, index) =>
        world.flood({ tunnel, startUs: index * 500_000 }),
      );
      runMarked(world, 30, 40);
      const rates = flows.map(({ sink }) => sink.goodputMbit());
      const others = rates.slice(1).reduce((sum, rate) => sum + rate, 0);
      return {
        jain: jain(rates),
        firstShare: (rates[0] ?? 0) / ((rates[0] ?? 0) + others),
        utilisation: world.paths[0]?.up.utilisation() ?? 0,
        queueP95Ms: world.paths[0]?.up.queueDelay.quantileMs(0.95) ?? 0,
      };
    },
  };
}

/** The tunnel's share of the bottleneck against `count` plain connections, over 40 s. */
function against(
  law: "cubic" | "bbr",
  count: number,
  bdp: number,
  bounds: Omit<Check, "metric">,
): Cell {
  return {
    name: `against-${count}-${law}-${bdp}-bdp`,
    row: "against plain TCP",
    checks: [
      { metric: "share", ...bounds },
      { metric: "utilisation", atLeast: 0.9 },
    ],
    measure(stage) {
      const world = stage.world({ links: [link({ rate: 50, rtt: 40, bdp })] });
      const flow = world.flood();
      const rivals: TcpFlow[] = Array.from({ length: count }, (_, index) =>
        world.tcp({ law, beside: 0, startUs: 2_000_000 + index * 300_000 }),
      );
      runMarked(world, 10, 50);
      const rival = rivals.reduce((sum, rivalFlow) => sum + rivalFlow.goodputMbit(), 0);
      const own = flow.sink.goodputMbit();
      return {
        share: own / (own + rival),
        utilisation: world.paths[0]?.up.utilisation() ?? 0,
        queueP95Ms: world.paths[0]?.up.queueDelay.quantileMs(0.95) ?? 0,
      };
    },
  };
}

/** Of several rivals a bond is wanted to get half a fair share at the least. */
const HALF_OF_THIRD = { atLeast: 0.16 };
const HALF_OF_NINTH = { atLeast: 0.055 };

export function sharingCells(): Cell[] {
  const fair = [{ metric: "jain", atLeast: 0.95 }, { metric: "queueP95Ms" }];
  return [
    tunnels({ name: "fair-2-tunnels", count: 2, checks: fair }),
    tunnels({ name: "fair-8-tunnels", count: 8, checks: fair }),
    tunnels({
      name: "fair-round-trips-1-to-4",
      count: 2,
      extraDelayMs: 60,
      checks: [{ metric: "jain" }, { metric: "firstShare" }],
    }),
    against("cubic", 1, 1, { atLeast: 0.2, atMost: 0.6 }),
    against("cubic", 1, 3, { atLeast: 0.2, atMost: 0.6 }),
    against("cubic", 2, 2, HALF_OF_THIRD),
    against("cubic", 8, 2, HALF_OF_NINTH),
    against("bbr", 1, 2, { atLeast: 0.2 }),
    against("bbr", 2, 2, HALF_OF_THIRD),
    against("bbr", 8, 2, HALF_OF_NINTH),
  ];
}
