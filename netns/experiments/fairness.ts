/**
 * Who gets what of a bottleneck that a tunnel's link shares: with a plain cubic flow beside the tunnel,
 * and with the link of another tunnel. Every flow goes from portal to portal, by its inner or its
 * outer addresses.
 */
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { loadsOf } from "../load/goodput.ts";
import { type Flow, type FlowOptions, iperf } from "../load/iperf.ts";
import { innerAddress, type Pair } from "../portal-files.ts";
import { Portals } from "../portals.ts";
import { type Demand, type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import { ADDRESS } from "../topology/names.ts";

const LINK = "rate=50mbit,delay=10ms";
const SECONDS = { brief: { omit: 4, count: 6 }, full: { omit: 10, count: 20 } };
const PORT = { tunnel: 5301, rival: 5302 } as const;

type Ways = Pick<FlowOptions, "from" | "to" | "source" | "target">;

const ENDS = { from: "lp", to: "rp" } as const;
const OUTSIDE: Ways = {
  ...ENDS,
  source: ADDRESS.access(4, 1, 2),
  target: ADDRESS.transit(4, 1, 2),
};

function through(pair: Pair): Ways {
  const [source, target] = [innerAddress("local", 4, pair), innerAddress("remote", 4, pair)];
  return { ...ENDS, source, target };
}

interface Rivalry {
  readonly name: string;
  readonly summary: string;
  readonly pairs: readonly Pair[];
  readonly rival: Ways;
  readonly demands: readonly Demand[];
}

const RIVALRIES: readonly Rivalry[] = [
  {
    name: "cubic",
    summary:
      "a tunnel's link and one plain cubic flow on 50 Mbit/s, 20 ms round trip, queue of 50 ms",
    pairs: [1],
    rival: OUTSIDE,
    demands: [
      ["share_min", ">=", 0.2],
      ["share_max", "<=", 0.6],
    ],
  },
  {
    name: "two-tunnels",
    summary: "the links of two tunnels on 50 Mbit/s",
    pairs: [1, 2],
    rival: through(2),
    demands: [["jain_min", ">=", 0.95]],
  },
];

export const fairness: readonly Experiment[] = RIVALRIES.map((one) => ({
  name: `fairness/${one.name}`,
  summary: one.summary,
  demands: one.demands,
  run: (context) => withLab(context, [LINK], (lab) => measure(lab, context, one)),
}));

async function measure(lab: Lab, context: Context, one: Rivalry): Promise<Figures> {
  const standing: Portals[] = [];
  for (const pair of one.pairs)
    standing.push(await Portals.up(lab, { ...carriage(context), pair }));
  const seconds = context.brief ? SECONDS.brief : SECONDS.full;
  const [shares, jains]: [number[], number[]] = [[], []];
  const figures: Record<string, number | string> = {};
  for (const { direction, sender } of loadsOf(context, [1])) {
    context.progress(`${one.name}: ${sender} ${direction}`);
    const time = { direction, seconds: seconds.count, omitSeconds: seconds.omit };
    const [tunnel, rival] = await Promise.all([
      iperf(lab, { ...through(1), ...time, sender, port: PORT.tunnel }),
      iperf(lab, { ...one.rival, ...time, port: PORT.rival }),
    ]);
    const share = tunnel.rate / (tunnel.rate + rival.rate);
    shares.push(share);
    jains.push(jain(tunnel.rate, rival.rate));
    const name = `${sender}_${direction}`;
    figures[`${name}_share`] = round(share);
    figures[`${name}_tunnel_mbit`] = round(tunnel.rate / 1e6, 2);
    figures[`${name}_rival_mbit`] = round(rival.rate / 1e6, 2);
    Object.assign(figures, errors(name, [tunnel, rival]));
  }
  await Promise.all(standing.map((portals) => portals.down()));
  const [least, most] = [Math.min(...shares), Math.max(...shares)];
  const worst = round(Math.min(...jains));
  return { share_min: round(least), share_max: round(most), jain_min: worst, ...figures };
}

/** R. Jain's index of two shares: 0.5 when one has all, 1 when both have the same. */
function jain(one: number, other: number): number {
  return (one + other) ** 2 / (2 * (one ** 2 + other ** 2));
}

function errors(name: string, flows: readonly Flow[]): Record<string, string> {
  const found = flows.flatMap(({ error }) => (error === null ? [] : [error]));
  return found.length === 0 ? {} : { [`${name}_error`]: found.join("; ") };
}
