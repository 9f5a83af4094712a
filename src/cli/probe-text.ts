/** The result of a probe as text: per link a table, what it says in words, and the lines to paste. Pure. */
import type { Judgement, Loss } from "../probe/judgement.ts";
import type { IcmpAnswer, TrainResult, TransportMeasurement } from "../probe/measurement.ts";
import { DIRECTIONS, type Direction, MARKS } from "../probe/plan.ts";
import { percent } from "../probe/sentence.ts";
import { type Spread, wilson } from "../probe/statistics.ts";
import { type Hop, isTimeExceeded, type TraceResult, traceSentence } from "../probe/tracer.ts";
import { isTranslated } from "../probe/verdict.ts";
import type { ProbeDocument, ProbedResult } from "./probe-json.ts";
import { table } from "./table.ts";

const ARROWS = { up: "to portal", down: "from portal" } as const;
/** Hop limits that systems start with, ascending. */
const INITIAL_HOPS = [64, 128, 255];

export function probeText(document: ProbeDocument): string {
  const lines = document.links.flatMap((link) => [...linkLines(link), ""]);
  return `${lines.join("\n")}\n`;
}

function linkLines(link: ProbedResult): string[] {
  const { name, device, source, remote, measurement, verdict, trace } = link;
  const from = [device, source].filter((part) => part !== null).join(", ");
  const mtu = `carries ${verdict.linkMtu} octets, so TUN MTU ${verdict.tunMtu}`;
  return [
    `${name}${from === "" || from === name ? "" : ` (${from})`} to ${remote}`,
    "",
    ...(measurement.connected ? figures(link).map((line) => `  ${line}`) : []),
    ...translationLines(link),
    ...answerLines(measurement.transports),
    ...(trace === null ? [] : ["", ...traceLines(trace)]),
    "",
    `  ${verdict.sentence}`,
    ...(measurement.connected ? [`  The path ${mtu}.`] : []),
    ...(verdict.config.length === 0 ? [] : [`  [[link]] ${verdict.config.join("; ")}`]),
  ];
}

interface Column {
  readonly measured: TransportMeasurement;
  readonly judgement: Judgement;
  readonly trains: readonly TrainResult[];
  readonly direction: Direction;
}

function figures({ measurement, verdict }: ProbedResult): string[] {
  const columns = DIRECTIONS.flatMap((direction) =>
    measurement.transports.flatMap((measured): Column[] => {
      const found = verdict.transports.find(({ transport }) => transport === measured.transport);
      const { trains } = measured.directions[direction];
      return found === undefined
        ? []
        : [{ measured, judgement: found[direction], trains, direction }];
    }),
  );
  const row = (name: string, cell: (column: Column) => string) => [name, ...columns.map(cell)];
  const fast = columns.flatMap(({ trains }) => trains.filter(({ name }) => name === "fast"))[0];
  return table([
    row("", ({ measured, direction }) => `${measured.transport} ${ARROWS[direction]}`),
    row("verdict", ({ judgement }) => judgement.word),
    row("loss at 10/s", ({ trains }) => lossCell(trains, "slow")),
    row("loss at 100/s", ({ trains }) => lossCell(trains, "medium")),
    row(`loss at ${Math.round(fast?.rate ?? 0)}/s`, ({ trains }) => lossCell(trains, "fast")),
    row("loss of a burst", ({ judgement }) => lossText(judgement.burstLoss)),
    row("largest packet", ({ judgement }) => sizeText(judgement)),
    row("RTT", ({ measured, direction }) => (direction === "up" ? rttText(measured.rttUs) : "")),
    row("jitter", ({ trains }) => jitterText(trains)),
    row("overtaken", ({ trains }) => countText(trains, (train) => train.reordered)),
    row("twice", ({ trains }) => countText(trains, (train) => train.duplicates)),
    row("changed", ({ measured, direction }) => mangledText(measured, direction)),
    row("hops", ({ measured, direction }) => hopsText(measured, direction)),
    row("DSCP EF", ({ trains }) => markText(trains, MARKS[0])),
    row("ECN ECT(0)", ({ trains }) => markText(trains, MARKS[1])),
    ...idleRows(columns, row),
  ]);
}

/** After pauses: who still gets through, only where the long form was asked for. */
function idleRows(
  columns: readonly Column[],
  row: (name: string, cell: (column: Column) => string) => string[],
): string[][] {
  const idle = columns.flatMap(({ trains }) => trains.filter(({ idleSeconds }) => idleSeconds > 0));
  const pauses = [...new Set(idle.map(({ idleSeconds }) => idleSeconds))].sort((a, b) => a - b);
  return pauses.map((pause) =>
    row(`after ${pause} s`, ({ trains }) => {
      const found = trains.filter(({ idleSeconds }) => idleSeconds === pause);
      const first = found.find(({ name }) => name === "portalFirst");
      const ours = found.find(({ name }) => name === "afterIdle");
      const cells = [
        ...(ours === undefined ? [] : [ours.received > 0 ? "passes" : "lost"]),
        ...(first === undefined
          ? []
          : [first.received > 0 ? "portal first too" : "not portal first"]),
      ];
      return cells.length === 0 ? "-" : cells.join(", ");
    }),
  );
}

function lossCell(trains: readonly TrainResult[], name: TrainResult["name"]): string {
  const known = trains.filter((train) => train.name === name && train.known && train.sent > 0);
  const sent = known.reduce((sum, train) => sum + train.sent, 0);
  const lost = known.reduce((sum, train) => sum + Math.max(0, train.sent - train.received), 0);
  return lossText({ sent, share: lost / sent, interval: wilson(lost, sent) });
}

/** `2 % (1 to 4 %)`, or `0 % (to 2 %)`. */
function lossText({ sent, share, interval }: Pick<Loss, "sent" | "share" | "interval">): string {
  if (sent === 0) return "-";
  const low = share === 0 ? "" : `${percent(interval.low).replace(" %", "")} `;
  return `${percent(share)} (${low}to ${percent(interval.high)})`;
}

function sizeText({ sizeMax, sizeTried }: Judgement): string {
  if (sizeTried === null) return "-";
  return sizeMax === null ? "none" : `${sizeMax}${sizeMax === sizeTried ? "" : ` of ${sizeTried}`}`;
}

function rttText(rtt: Spread | null): string {
  if (rtt === null) return "-";
  const [min, median, p99] = [rtt.min, rtt.median, rtt.p99].map((us) => (us / 1000).toFixed(1));
  return `${min}/${median}/${p99} ms`;
}

function jitterText(trains: readonly TrainResult[]): string {
  const medium = trains.find(({ name, jitterUs }) => name === "medium" && jitterUs !== null);
  return medium?.jitterUs == null ? "-" : `${(medium.jitterUs / 1000).toFixed(2)} ms`;
}

function countText(trains: readonly TrainResult[], of: (train: TrainResult) => number): string {
  const received = trains.reduce((sum, train) => sum + train.received, 0);
  const count = trains.reduce((sum, train) => sum + of(train), 0);
  return received === 0 ? "-" : String(count);
}

function mangledText(measured: TransportMeasurement, direction: Direction): string {
  const { count, positions } = measured.directions[direction].mangled;
  if (count === 0) return "0";
  return positions.length === 0 ? String(count) : `${count}, at ${positions.join(" ")}`;
}

function hopsText(measured: TransportMeasurement, direction: Direction): string {
  const { hops } = measured.directions[direction];
  if (hops === null) return "-";
  const initial = INITIAL_HOPS.find((limit) => limit >= hops.max) ?? hops.max;
  const [near, far] = [initial - hops.max, initial - hops.min];
  return near === far ? String(near) : `${near} to ${far}`;
}

function markText(trains: readonly TrainResult[], trafficClass: number): string {
  const marked = trains.filter(
    (train) => train.name === "marked" && train.trafficClass === trafficClass,
  );
  const [train] = marked;
  if (train === undefined) return "-";
  if (train.received === 0) return "lost";
  return train.remarked === 0 ? "kept" : `becomes ${train.remarkedTo}`;
}

function translationLines({ measurement }: ProbedResult): string[] {
  const seen = measurement.transports.flatMap(({ transport, local, observed }) => {
    if (local === null || observed === null) return [];
    const port = observed.port === 0 ? "" : `, port ${observed.port}`;
    return [`${transport} from ${local.address} is seen as ${observed.address}${port}`];
  });
  const translated = isTranslated(measurement);
  if (translated === null) return [];
  const what = translated ? "Address translation" : "No address translation";
  return ["", `  ${what}: ${seen.join("; ")}.`];
}

function answerLines(transports: readonly TransportMeasurement[]): string[] {
  return transports.flatMap(({ transport, icmp, errors, failure }) => [
    ...icmp.map((answer) => `  ${transport}: ${icmpText(answer)}`),
    ...Object.entries(errors).map(
      ([code, count]) => `  ${transport}: ${code} ${count} times, here`,
    ),
    ...(failure === null ? [] : [`  ${transport}: no connection (${failure})`]),
  ]);
}

function icmpText({ type, code, from, count }: IcmpAnswer): string {
  return `ICMP ${type}/${code} from ${from}, ${count} times`;
}

function traceLines(trace: TraceResult): string[] {
  const length = Math.max(trace.raw.length, trace.udp.length);
  const rows = Array.from({ length }, (_, at) => [
    String(at + 1),
    hopText(trace.raw[at]),
    hopText(trace.udp[at]),
  ]);
  const sentence = traceSentence(trace);
  const lines = table([["hop", "raw", "udp"], ...rows]).map((line) => `  ${line}`);
  return sentence === null ? lines : [...lines, `  ${sentence}`];
}

function hopText(hop: Hop | undefined): string {
  if (hop === undefined) return "";
  if (hop.from === null) return "*";
  const ms = hop.rttUs === null ? "" : ` ${(hop.rttUs / 1000).toFixed(1)} ms`;
  const refuses = hop.icmp !== null && !isTimeExceeded(hop.icmp[0], hop.from);
  return `${hop.from}${ms}${hop.reached ? " portal" : ""}${refuses ? ` !${hop.icmp?.join("/")}` : ""}`;
}
