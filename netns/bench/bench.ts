/** `npm run bench -- throughput|hotpath`: what the forwarder does and costs on this machine. */
import { Command } from "commander";
import { MpfwdError } from "../../src/core/errors.ts";
import type { FlowDirection } from "../load/iperf.ts";
import { measureHotpath } from "./hotpath.ts";
import { type Carrier, measureThroughput, type Spread, type ThroughputRow } from "./throughput.ts";

const SCHEMA = 1;
/** Payload of a TCP segment in an IPv4 packet of 200 octets: 20 IP, 32 TCP with timestamps. */
const SMALL_MSS = 148;

interface ThroughputFlags {
  readonly json?: boolean;
  readonly seconds: string;
  readonly rounds: string;
  readonly wire?: boolean;
  readonly super?: boolean;
  readonly small?: boolean;
  readonly carriers: string;
  readonly directions: string;
}

const program = new Command("bench").description("measures mpfwd on this machine");

program
  .command("throughput")
  .description("one TCP flow over one unshaped link: no tunnel, raw, UDP; as root")
  .option("--json", "one JSON document on standard output")
  .option("--seconds <n>", "length of each flow", "5")
  .option("--rounds <n>", "rounds of all cases in turn", "5")
  .option("--no-wire", "leave out links that carry packets of the MTU's size")
  .option("--no-super", "leave out links that pass super-packets whole")
  .option("--no-small", "leave out packets of 200 octets")
  .option("--carriers <list>", "none, raw, udp", "none,raw,udp")
  .option("--directions <list>", "up, down", "up,down")
  .action(throughput);

program
  .command("hotpath")
  .description("nanoseconds and octets a packet in JavaScript, without the kernel")
  .option("--json", "one JSON document on standard output")
  .action((flags: { readonly json?: boolean }) => {
    const rows = measureHotpath();
    if (flags.json) print({ schema: SCHEMA, benchmark: "hotpath", rows });
    else printTable(HOTPATH_HEAD, rows.map(hotpathCells));
  });

async function throughput(flags: ThroughputFlags): Promise<void> {
  const rows: ThroughputRow[] = [];
  const common = {
    seconds: Number(flags.seconds),
    rounds: Number(flags.rounds),
    carriers: flags.carriers.split(",") as Carrier[],
    directions: flags.directions.split(",") as FlowDirection[],
    progress: (text: string) => process.stderr.write(`\r\u001b[K${text}`),
  };
  const cases = [
    { asked: flags.wire, superPackets: false, mss: null },
    { asked: flags.super, superPackets: true, mss: null },
    { asked: flags.small, superPackets: false, mss: SMALL_MSS },
  ];
  for (const { asked, superPackets, mss } of cases) {
    if (asked) rows.push(...(await measureThroughput({ ...common, superPackets, mss })));
  }
  process.stderr.write("\r\u001b[K");
  if (flags.json) print({ schema: SCHEMA, benchmark: "throughput", rows });
  else printTable(THROUGHPUT_HEAD, rows.map(throughputCells));
}

const THROUGHPUT_HEAD = [
  "link",
  "packets",
  "carrier",
  "flow",
  "Gbit/s",
  "of no tunnel",
  "CPU s/GB local",
  "remote",
  "packets/s",
];

function throughputCells(row: ThroughputRow): string[] {
  return [
    row.superPackets ? "super" : "wire",
    row.mss === null ? "full" : "200 octets",
    row.carrier,
    `${row.direction}, ${row.control}`,
    spreadText(row.gbitPerSecond, 2),
    row.ratio === null ? "" : spreadText(row.ratio, 2),
    row.localCpuPerGb === null ? "" : row.localCpuPerGb.median.toFixed(2),
    row.remoteCpuPerGb === null ? "" : row.remoteCpuPerGb.median.toFixed(2),
    row.packetsPerSecond === null ? "" : row.packetsPerSecond.median.toFixed(0),
  ];
}

const HOTPATH_HEAD = ["step", "ns a packet", "lasting octets", "passing octets"];

function hotpathCells(row: ReturnType<typeof measureHotpath>[number]): string[] {
  const ns = `${row.ns.toFixed(1)} (${row.nsMin.toFixed(1)} to ${row.nsMax.toFixed(1)})`;
  return [row.step, ns, row.lastingOctets.toFixed(2), row.passingOctets.toFixed(2)];
}

function spreadText({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

function print(document: object): void {
  console.log(JSON.stringify(document));
}

function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((text, column) =>
    Math.max(text.length, ...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  for (const cells of [head, ...rows]) {
    console.log(
      cells
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}

await program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof MpfwdError ? `bench: ${error.message}` : error);
  process.exitCode = 1;
});
