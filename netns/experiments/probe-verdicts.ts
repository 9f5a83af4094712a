/**
 * `mpfwd probe` behind every middlebox of the ladder, over both families: is its verdict what the box
 * does? It probes a running Remote Portal with the Local Portal's own configuration file.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ProbeDocument } from "../../src/cli/probe-json.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import type { Word } from "../../src/probe/judgement.ts";
import { PROBE_EXIT } from "../../src/probe/verdict.ts";
import { DIRECTIONS, type Direction } from "../emulator/control.ts";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { Portals } from "../portals.ts";
import type { Figures } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import { NO_MIDDLEBOX, parseMiddlebox } from "../topology/middlebox.ts";
import { FAMILIES, type Family } from "../topology/names.ts";
import type { IcmpError } from "../topology/packets.ts";
import { forgeErrors } from "./ladder/attacks.ts";
import { type Carriers, PROBE_CASES, type ProbeCase } from "./probe-cases.ts";

const CLI = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const LINK = "rate=20mbit,delay=10ms,live";
const LIMIT_MS = 90_000;
const RIVAL_LIMIT_MS = 15_000;
const BRIEF_SECONDS = "8";
/** Ten rounds about raw and UDP, both ways, twice. */
const FORGED_MIN = 80;
const FORGE_AGAIN_MS = 100;

export const probeVerdicts: readonly Experiment[] = PROBE_CASES.map((one) => ({
  name: `probe-verdicts/${one.name}`,
  summary: one.summary,
  transport: "auto",
  demands: [["right", "==", FAMILIES.length]],
  run: (context) => {
    const link = one.link === undefined ? LINK : `${LINK},${one.link}`;
    return withLab(context, [link], (lab) => measure(lab, context, one));
  },
}));

async function measure(lab: Lab, context: Context, one: ProbeCase): Promise<Figures> {
  const figures: Record<string, number | string> = {};
  let right = 0;
  for (const family of FAMILIES) {
    context.progress(`${one.name} over IPv${family}`);
    const { code, said, forged } = await probe(lab, context, one, family);
    const found = read(said);
    const wrong = [
      ...(found === null ? ["no JSON"] : faults(one, code, found)),
      ...(one.forged === undefined || forged >= FORGED_MIN ? [] : [`only ${forged} forged`]),
    ];
    if (wrong.length === 0) right += 1;
    figures[`v${family}_exit`] = code;
    figures[`v${family}_says`] = found?.sentence ?? said;
    if (one.forged !== undefined) figures[`v${family}_forged`] = forged;
    if (wrong.length > 0) figures[`v${family}_wrong`] = wrong.join("; ");
  }
  return { right, of: FAMILIES.length, ...figures };
}

/** Of one link's verdict. */
interface Said {
  readonly exitCode: number;
  readonly carriers: string;
  readonly raw: Readonly<Record<Direction, Word>>;
  readonly translated: boolean | null;
  readonly sentence: string;
}

function read(text: string): Said | null {
  if (!text.startsWith("{")) return null;
  const document = JSON.parse(text) as ProbeDocument;
  const { verdict } = document.links[0] ?? {};
  const raw = verdict?.transports.find(({ transport }) => transport === "raw");
  if (verdict === undefined) return null;
  const { up, down } = verdict.recommended;
  return {
    exitCode: document.exitCode,
    carriers: `${up}/${down}`,
    // Absent when nobody could be asked about it.
    raw: { up: raw?.up.word ?? "unreachable", down: raw?.down.word ?? "unreachable" },
    translated: verdict.translated,
    sentence: verdict.sentence,
  };
}

/** What of a verdict is not what the box does. */
function faults(one: ProbeCase, code: number, found: Said): string[] {
  const { carriers } = one;
  const wanted = carriers ?? "null/null";
  const exit = exitOf(carriers);
  const isBehind = one.link !== undefined;
  const known = found.translated ?? isBehind;
  return [
    ...(code === exit && found.exitCode === exit
      ? []
      : [`exit ${code} and ${found.exitCode}, not ${exit}`]),
    ...(found.carriers === wanted ? [] : [`recommends ${found.carriers}, not ${wanted}`]),
    ...DIRECTIONS.flatMap((way) =>
      one[way].includes(found.raw[way])
        ? []
        : [`raw ${way} ${found.raw[way]}, not ${one[way].join(" or ")}`],
    ),
    ...(known === isBehind ? [] : [`translated ${found.translated}`]),
  ];
}

/** By the worse direction. */
function exitOf(carriers: Carriers | null): number {
  if (carriers === null) return PROBE_EXIT.nothing;
  const worst = TRANSPORTS.findLast((transport) => carriers.split("/").includes(transport));
  return PROBE_EXIT[worst ?? "raw"];
}

interface Probed {
  readonly code: number;
  readonly said: string;
  /** Errors that were sent to both ends meanwhile. */
  readonly forged: number;
}

async function probe(lab: Lab, context: Context, one: ProbeCase, family: Family): Promise<Probed> {
  const port = one.port === undefined ? {} : { port: one.port };
  const options = { ...carriage(context), family, ...port, neighbour: one.rival === true };
  const portals = await Portals.listen(lab, options);
  try {
    if (one.rival === true) {
      portals.start("neighbour");
      await portals.waitPeer("neighbour", RIVAL_LIMIT_MS);
    }
    await lab.middlebox(1, parseMiddlebox(one.box));
    const duration = context.brief ? ["--duration", BRIEF_SECONDS] : [];
    const args = ["--enable-source-maps", CLI, "probe", portals.file("local"), "--json"];
    const probing = lab.exec("lp", process.execPath, [...args, ...duration], {
      ...{ mayFail: true, limitMs: LIMIT_MS },
    });
    const [{ code, stdout, stderr }, forged] = await Promise.all([
      probing,
      forgeBeside(lab, family, one.forged ?? [], probing),
    ]);
    const said = stdout.trim() === "" ? stderr.trim() : stdout.trim();
    return { code, said, forged };
  } finally {
    await portals.down();
    await lab.middlebox(1, NO_MIDDLEBOX);
  }
}

/** Forges errors about what the probe sends, again and again until it ends; returns how many. */
async function forgeBeside(
  lab: Lab,
  family: Family,
  errors: readonly IcmpError[],
  probing: Promise<unknown>,
): Promise<number> {
  if (errors.length === 0) return 0;
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  probing.then(over, over);
  const change = forgeErrors(0, errors);
  let sent = 0;
  let failed: unknown;
  while (!isOver) {
    try {
      sent += (await change.act(lab, family))?.["forged"] ?? 0;
    } catch (cause) {
      // A probe pauses between its parts and after them: then there are no packets to quote.
      failed = cause;
      await sleep(FORGE_AGAIN_MS);
    }
  }
  if (sent === 0) throw failed;
  return sent;
}
