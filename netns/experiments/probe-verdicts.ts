/**
 * `mpfwd probe` behind every middlebox of the ladder, over both families: is its verdict what the box
 * does? It probes a running Remote Portal with the Local Portal's own configuration file.
 */
import { fileURLToPath } from "node:url";
import type { ProbeDocument } from "../../src/cli/probe-json.ts";
import { TRANSPORTS, type Transport } from "../../src/core/transport.ts";
import type { Word } from "../../src/probe/judgement.ts";
import { PROBE_EXIT } from "../../src/probe/verdict.ts";
import { DIRECTIONS, type Direction } from "../emulator/control.ts";
import { type Context, carriage, type Experiment, withLab } from "../experiment.ts";
import { Portals } from "../portals.ts";
import type { Figures } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import { NO_MIDDLEBOX, parseMiddlebox } from "../topology/middlebox.ts";
import { FAMILIES, type Family } from "../topology/names.ts";

const CLI = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const LINK = "rate=20mbit,delay=10ms,live";
const LIMIT_MS = 90_000;
const RIVAL_LIMIT_MS = 15_000;
const BRIEF_SECONDS = "8";

/** `up/down`, as the verdict recommends. */
type Carriers = `${Transport}/${Transport}`;

interface ProbeCase {
  readonly name: string;
  readonly summary: string;
  /** Rules of the middlebox. */
  readonly box: string;
  readonly link?: string;
  readonly port?: number;
  /** What each direction is to be carried by; null: nothing works. */
  readonly carriers: Carriers | null;
  /** What may be said of raw in each direction; nobody can tell what a way down does that nobody opened. */
  readonly up: readonly Word[];
  readonly down: readonly Word[];
  /** Another client behind the same translation has the protocol number. */
  readonly rival?: boolean;
}

const OK = ["ok"] as const;
const BLOCKED = ["blocked"] as const;
const NEVER_OPENED = ["blocked", "unreachable"] as const;
const POLICED = ["policed"] as const;
const MANGLED = ["mangled"] as const;
const SHORT = ["size-limited"] as const;
const BOTH_OK = { up: OK, down: OK, carriers: "raw/raw" } as const;
const BOTH_BLOCKED = { up: BLOCKED, down: NEVER_OPENED } as const;

const CASES: readonly ProbeCase[] = [
  { name: "open", summary: "everything passes", box: "none", ...BOTH_OK },
  {
    name: "raw-never",
    summary: "raw passes neither way",
    ...{ box: "drop=raw", carriers: "udp/udp", ...BOTH_BLOCKED },
  },
  {
    name: "raw-up-only",
    summary: "raw passes up alone",
    ...{ box: "drop_down=raw", carriers: "raw/udp", up: OK, down: BLOCKED },
  },
  {
    name: "raw-down-only",
    summary: "raw passes down alone",
    ...{ box: "drop_up=raw", carriers: "udp/udp", up: BLOCKED, down: OK },
  },
  {
    name: "rejected",
    summary: "raw is refused by ICMP",
    ...{ box: "reject=raw", carriers: "udp/udp", ...BOTH_BLOCKED },
  },
  {
    name: "policed",
    summary: "raw is policed to 1 Mbit/s",
    ...{ box: "police=raw@1mbit", carriers: "udp/udp", up: POLICED, down: POLICED },
  },
  {
    name: "policed-down",
    summary: "raw is policed to 1 Mbit/s down",
    ...{ box: "police_down=raw@1mbit", carriers: "raw/udp", up: OK, down: POLICED },
  },
  {
    name: "mangled",
    summary: "raw is altered",
    box: "mangle=raw",
    ...{ carriers: "udp/udp", up: MANGLED, down: [...MANGLED, ...NEVER_OPENED] },
  },
  {
    name: "mangled-down",
    summary: "raw is altered down",
    ...{ box: "mangle_down=raw", carriers: "raw/udp", up: OK, down: MANGLED },
  },
  {
    name: "large",
    summary: "raw packets of more than 1000 octets are dropped",
    ...{ box: "longer=raw@1000", carriers: "udp/udp", up: SHORT, down: SHORT },
  },
  {
    name: "large-down",
    summary: "raw packets of more than 1000 octets are dropped down",
    ...{ box: "longer_down=raw@1000", carriers: "raw/udp", up: OK, down: SHORT },
  },
  { name: "icmp-filtered", summary: "no ICMP passes", box: "drop=icmp", ...BOTH_OK },
  { name: "udp-blocked", summary: "no UDP passes", box: "drop=udp", ...BOTH_OK },
  {
    name: "tcp-left",
    summary: "neither raw nor UDP passes",
    ...{ box: "drop=udp,drop=raw", carriers: "tcp/tcp", ...BOTH_BLOCKED },
  },
  {
    name: "tcp-443",
    summary: "nothing but TCP to port 443 passes",
    ...{ box: "only=443", port: 443, carriers: "tcp/tcp", ...BOTH_BLOCKED },
  },
  {
    name: "nothing",
    summary: "nothing passes",
    box: "drop=raw,drop=udp,drop=tcp",
    ...{ carriers: null, up: NEVER_OPENED, down: NEVER_OPENED },
  },
  { name: "nat", summary: "a NAT that passes all", box: "none", link: "nat", ...BOTH_OK },
  {
    name: "nat-conflict",
    summary: "another client behind the same NAT has the protocol number",
    ...{ box: "none", link: "nat,neighbour", rival: true },
    ...{ carriers: "udp/udp", up: ["nat-conflict"], down: NEVER_OPENED },
  },
];

export const probeVerdicts: readonly Experiment[] = CASES.map((one) => ({
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
    const { code, said } = await probe(lab, context, one, family);
    const found = read(said);
    const wrong = found === null ? ["no JSON"] : faults(one, code, found);
    if (wrong.length === 0) right += 1;
    figures[`v${family}_exit`] = code;
    figures[`v${family}_says`] = found?.sentence ?? said;
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

async function probe(
  lab: Lab,
  context: Context,
  one: ProbeCase,
  family: Family,
): Promise<{ readonly code: number; readonly said: string }> {
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
    const { code, stdout, stderr } = await lab.exec(
      "lp",
      process.execPath,
      [...args, ...duration],
      {
        ...{ mayFail: true, limitMs: LIMIT_MS },
      },
    );
    return { code, said: stdout.trim() === "" ? stderr.trim() : stdout.trim() };
  } finally {
    await portals.down();
    await lab.middlebox(1, NO_MIDDLEBOX);
  }
}
