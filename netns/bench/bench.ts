/** `npm run bench -- throughput|hotpath|soak`: what the forwarder does and costs on this machine. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { MpfwdError } from "../../src/core/errors.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import { DIRECTIONS } from "../emulator/control.ts";
import type { FlowDirection } from "../load/iperf.ts";
import { listOf, readCount, readLength, readLengthOrZero } from "../option-values.ts";
import type { TransportChoice } from "../portal-files.ts";
import { measureHotpath } from "./hotpath.ts";
import { measurePacketIo, type PacketIoRow } from "./packet-io.ts";
import { COMPARED_PACKAGES, compilePackages, parsePackages } from "./packet-io-packages.ts";
import { type SoakRow, soak } from "./soak.ts";
import type { Sample } from "./soak-samples.ts";
import { type Carrier, measureThroughput, type Spread, type ThroughputRow } from "./throughput.ts";

const SCHEMA = 1;
/** Payload of a TCP segment in an IPv4 packet of 200 octets: 20 IP, 32 TCP with timestamps. */
const SMALL_MSS = 148;
/** Octets of an IP packet in the comparison of packet I/O. */
const PACKET_OCTETS = { full: 1400, small: 200 } as const;
/** Length of a load unless `--seconds` says. */
const SECONDS = { flow: 5, packetIo: 1 } as const;

const CARRIERS: readonly Carrier[] = ["none", ...TRANSPORTS];

interface ThroughputFlags {
  readonly json?: boolean;
  readonly seconds?: number;
  readonly warmUp: number;
  readonly rounds: number;
  readonly wire?: boolean;
  readonly super?: boolean;
  readonly small?: boolean;
  readonly carriers: readonly Carrier[];
  readonly directions: readonly FlowDirection[];
  readonly io?: string;
  readonly against?: string;
  readonly guard?: boolean;
}

const program = new Command("bench").description("measures mpfwd on this machine");

program
  .command("throughput")
  .description("one TCP flow over one unshaped link: no tunnel, raw, UDP; as root")
  .option("--json", "one JSON document on standard output")
  .option(
    "--seconds <n>",
    `length of each flow (${SECONDS.flow}; with --io ${SECONDS.packetIo})`,
    readLength,
  )
  .option(
    "--warm-up <n>",
    "seconds of load each way before portals are measured: they compile while they run",
    readLengthOrZero,
    0,
  )
  .option("--rounds <n>", "rounds of all cases in turn", readCount, 5)
  .option("--no-wire", "leave out links that carry packets of the MTU's size")
  .option("--no-super", "leave out links that pass super-packets whole")
  .option("--no-small", "leave out packets of 200 octets")
  .option("--carriers <list>", CARRIERS.join(", "), listOf(CARRIERS), ["none", "raw", "udp"])
  .option("--directions <list>", DIRECTIONS.join(", "), listOf(DIRECTIONS), DIRECTIONS)
  .option(
    "--against <folder>",
    "another built checkout with the same status schema; takes turns with ours",
  )
  .option("--no-guard", "our portals with guard = false")
  .option(
    "--io <list>",
    `instead of TCP flows: packets out and in by our addon and by ${COMPARED_PACKAGES.join(",")}`,
  )
  .action((flags: ThroughputFlags) => (flags.io === undefined ? throughput : packetIo)(flags));

program
  .command("hotpath")
  .description("nanoseconds and octets a packet in JavaScript, without the kernel")
  .option("--json", "one JSON document on standard output")
  .action((flags: { readonly json?: boolean }) => {
    const rows = measureHotpath();
    if (flags.json) print({ schema: SCHEMA, benchmark: "hotpath", rows });
    else printTable(HOTPATH_HEAD, rows.map(hotpathCells));
  });

program
  .command("soak")
  .description(
    "a tunnel under flows, cuts, renewals and reconnects: memory and descriptors; as root",
  )
  .option("--json", "one JSON document on standard output")
  .option("--minutes <n>", "length", readLength, 10)
  .addOption(new Option("--transport <which>").choices(["auto", ...TRANSPORTS]).default("auto"))
  .action(async (flags: { json?: boolean; minutes: number; transport: TransportChoice }) => {
    const { minutes, transport } = flags;
    const result = await soak({ minutes, transport, progress });
    progress("");
    if (flags.json) print({ schema: SCHEMA, benchmark: "soak", ...result });
    else printTable(SOAK_HEAD, result.rows.map(soakCells));
    if (result.rows.some(({ flat }) => !flat)) process.exitCode = 1;
  });

async function throughput(flags: ThroughputFlags): Promise<void> {
  const rows: ThroughputRow[] = [];
  const common = {
    seconds: flags.seconds ?? SECONDS.flow,
    warmUpSeconds: flags.warmUp,
    rounds: flags.rounds,
    carriers: flags.carriers,
    directions: flags.directions,
    against: flags.against === undefined ? null : cliOf(flags.against),
    guard: flags.guard ?? true,
    progress,
  };
  const cases = [
    { asked: flags.wire, superPackets: false, mss: null },
    { asked: flags.super, superPackets: true, mss: null },
    { asked: flags.small, superPackets: false, mss: SMALL_MSS },
  ];
  for (const { asked, superPackets, mss } of cases) {
    if (asked) rows.push(...(await measureThroughput({ ...common, superPackets, mss })));
  }
  progress("");
  if (flags.json) print({ schema: SCHEMA, benchmark: "throughput", rows });
  else printTable(THROUGHPUT_HEAD, rows.map(throughputCells));
}

/** The portals of a checkout. @throws MpfwdError ERR_USAGE when it is none, or not built */
function cliOf(folder: string): string {
  const path = join(resolve(folder), "dist/src/cli/main.js");
  if (existsSync(path)) return path;
  throw new MpfwdError("ERR_USAGE", `${folder} is no built checkout: ${path} is missing`);
}

async function packetIo(flags: ThroughputFlags): Promise<void> {
  const packages = parsePackages(flags.io ?? "");
  await compilePackages(packages, (line) => process.stderr.write(`bench: ${line}\n`));
  const rows = await measurePacketIo({
    seconds: flags.seconds ?? SECONDS.packetIo,
    rounds: flags.rounds,
    packages,
    octets: flags.small ? [PACKET_OCTETS.full, PACKET_OCTETS.small] : [PACKET_OCTETS.full],
    progress,
  });
  progress("");
  if (flags.json) print({ schema: SCHEMA, benchmark: "packet-io", rows });
  else printTable(PACKET_IO_HEAD, rows.map(packetIoCells));
}

function progress(text: string): void {
  process.stderr.write(`\r\u001b[K${text}`);
}

const THROUGHPUT_HEAD = [
  "link",
  "packets",
  "carrier",
  "flow",
  "Gbit/s",
  "of no tunnel",
  "of the other tree",
  "CPU s/GB local",
  "remote",
  "packets/s",
];

function throughputCells(row: ThroughputRow): string[] {
  return [
    row.superPackets ? "super" : "wire",
    row.mss === null ? "full" : "200 octets",
    row.tree === "other" ? `${row.carrier}, other tree` : row.carrier,
    `${row.direction}, ${row.control}`,
    spreadText(row.gbitPerSecond, 2),
    row.ratio === null ? "" : spreadText(row.ratio, 2),
    row.ofOther === null ? "" : spreadText(row.ofOther, 2),
    row.localCpuPerGb === null ? "" : row.localCpuPerGb.median.toFixed(2),
    row.remoteCpuPerGb === null ? "" : row.remoteCpuPerGb.median.toFixed(2),
    row.packetsPerSecond === null ? "" : row.packetsPerSecond.median.toFixed(0),
  ];
}

const PACKET_IO_HEAD = [
  "octets",
  "way",
  "by",
  "packets/s",
  "CPU s/million",
  "of that HMAC",
  "offered/s",
  "lost",
];

function packetIoCells(row: PacketIoRow): string[] {
  return [
    `${row.octets}`,
    row.direction,
    row.backend,
    (row.atLeast ? "at least " : "") + spreadText(row.packetsPerSecond, 0),
    spreadText(row.cpuPerMillion, 2),
    row.hmacPerMillion === null ? "" : row.hmacPerMillion.median.toFixed(2),
    row.offeredPerSecond === null ? "" : row.offeredPerSecond.median.toFixed(0),
    `${(row.lost.median * 100).toFixed(1)} %`,
  ];
}

const SOAK_HEAD = [
  "portal",
  "RSS MiB, first, last, most",
  "MiB/h",
  "grown MiB",
  "heap",
  "buffers",
  "descriptors",
  "threads",
  "rules",
  "tracked",
  "longest GC ms",
  "verdict",
];

function soakCells({ side, first, last, ...row }: SoakRow): string[] {
  const both = (of: (sample: Sample) => number) => `${of(first)}, ${of(last)}`;
  return [
    side,
    [first.rssMib, last.rssMib, row.rssMost].map((mib) => mib.toFixed(1)).join(", "),
    row.mibPerHour.toFixed(1),
    row.growthMib.toFixed(2),
    row.heapGrowthMib.toFixed(2),
    row.buffersGrowthMib.toFixed(2),
    both(({ descriptors }) => descriptors),
    both(({ threads }) => threads),
    both(({ rules }) => rules),
    both(({ connections }) => connections),
    row.pauseMs.toFixed(1),
    row.flat ? "flat" : "GROWS",
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
