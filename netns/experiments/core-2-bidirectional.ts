/** A TCP flow in each direction at once over two links, against the same over one without a tunnel. */
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { iperfBoth } from "../load/iperf.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";

const LINK = "rate=50mbit,delay=10ms";
const SECONDS = { brief: 5, full: 10 };

export const core2Bidirectional: Experiment = {
  name: "core-2-bidirectional",
  summary: "a TCP flow each way at once over 2 x 50 Mbit/s, against one link without the tunnel",
  demands: [
    ["gain_up", ">=", 1.6],
    ["gain_down", ">=", 1.6],
  ],
  run: (context) => withLab(context, [LINK, LINK], (lab) => measure(lab, context)),
};

async function measure(lab: Lab, context: Context): Promise<Figures> {
  const seconds = context.brief ? SECONDS.brief : SECONDS.full;
  await lab.direct(1);
  context.progress(`one link without tunnel: TCP both ways, ${seconds} s`);
  const single = await iperfBoth(lab, { seconds });
  await lab.direct(null);
  const portals = await Portals.up(lab, carriage(context));
  context.progress(`two links, ${context.transport}: TCP both ways, ${seconds} s`);
  const bonded = await iperfBoth(lab, { seconds });
  await portals.down();
  return {
    flows: 2,
    gain_up: round(bonded.up.rate / single.up.rate),
    gain_down: round(bonded.down.rate / single.down.rate),
    gain_sum: round((bonded.up.rate + bonded.down.rate) / (single.up.rate + single.down.rate)),
    single_up_mbit: round(single.up.rate / 1e6, 1),
    single_down_mbit: round(single.down.rate / 1e6, 1),
    bonded_up_mbit: round(bonded.up.rate / 1e6, 1),
    bonded_down_mbit: round(bonded.down.rate / 1e6, 1),
    sender_control: bonded.up.control,
  };
}
