/** One TCP flow over two equal links, against the same flow over one of them without a tunnel. */
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { type FlowDirection, iperf } from "../load/iperf.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";

const LINK = "rate=50mbit,delay=10ms";
const SECONDS = { brief: 4, full: 10 };

export const core5TwoLinks: Experiment = {
  name: "core-5-two-links",
  summary: "one TCP flow over 2 x 50 Mbit/s, 10 ms, against one link without the tunnel",
  demands: [
    ["gain_up", ">=", 1.8],
    ["gain_down", ">=", 1.8],
  ],
  run: (context) => withLab(context, [LINK, LINK], (lab) => measure(lab, context)),
};

async function measure(lab: Lab, context: Context): Promise<Figures> {
  await lab.direct(1);
  const single = await bothWays(lab, context, "one link without tunnel");
  await lab.direct(null);
  const portals = await Portals.up(lab, carriage(context));
  const bonded = await bothWays(lab, context, `two links, ${context.transport}`);
  await portals.down();
  return {
    flows: 1,
    gain_up: round(bonded.up.rate / single.up.rate),
    gain_down: round(bonded.down.rate / single.down.rate),
    single_up_mbit: round(single.up.rate / 1e6, 1),
    single_down_mbit: round(single.down.rate / 1e6, 1),
    bonded_up_mbit: round(bonded.up.rate / 1e6, 1),
    bonded_down_mbit: round(bonded.down.rate / 1e6, 1),
    sender_control: bonded.up.control,
  };
}

async function bothWays(lab: Lab, context: Context, what: string) {
  const seconds = context.brief ? SECONDS.brief : SECONDS.full;
  const flow = (direction: FlowDirection) => {
    context.progress(`${what}: TCP ${direction}, ${seconds} s`);
    return iperf(lab, { direction, seconds });
  };
  return { up: await flow("up"), down: await flow("down") };
}
