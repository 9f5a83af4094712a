/** A transfer whose checksum is compared, while the links lose, reorder and duplicate packets. */
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { runTransfer } from "../load/processes.ts";
import { Portals } from "../portals.ts";
import { type Figures, round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";

const LINK = "delay=2ms,jitter=1ms,loss=0.1%,duplicate=0.5%,reorder=0.5%,gap=3";
const BYTES = { brief: 64e6, full: 1e9 };
/** The slowest that is waited for. */
const RATE_MIN_BYTES_PER_SECOND = 1.5e6;

export const bitExact: Experiment = {
  name: "bit-exact",
  summary:
    "1 GB (--bytes) by TCP while the links lose, reorder and duplicate; checksums at both ends",
  demands: [
    ["bit_exact", "==", 1],
    ["emulator_lost", ">=", 1],
    ["emulator_overtaken", ">=", 1],
    ["emulator_duplicated", ">=", 1],
  ],
  run: (context) => withLab(context, [LINK, LINK], (lab) => measure(lab, context)),
};

async function measure(lab: Lab, context: Context): Promise<Figures> {
  const bytes = context.bytes ?? (context.brief ? BYTES.brief : BYTES.full);
  const portals = await Portals.up(lab, carriage(context));
  context.progress(`two bad links, ${context.transport}: ${bytes / 1e6} MB`);
  const limitMs = 10_000 + (bytes / RATE_MIN_BYTES_PER_SECOND) * 1_000;
  const { sent, received } = await runTransfer(lab, { bytes, seed: context.seed, limitMs });
  const paths = (await lab.report()).flatMap(({ up, down }) => [up, down]);
  await portals.down();
  const exact = sent.bytes === bytes && received.bytes === bytes && sent.sha256 === received.sha256;
  const sum = (of: (path: (typeof paths)[number]) => number) =>
    paths.reduce((total, path) => total + of(path), 0);
  return {
    bit_exact: exact ? 1 : 0,
    bytes: received.bytes,
    sha256: received.sha256,
    mbit: round((received.bytes * 8) / received.seconds / 1e6, 1),
    emulator_lost: sum((path) => path.dropped.lost),
    emulator_overtaken: sum((path) => path.overtaken),
    emulator_duplicated: sum((path) => path.duplicated),
  };
}
