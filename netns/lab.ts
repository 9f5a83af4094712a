#!/usr/bin/env node
/**
 * `npm run lab -- COMMAND`: networks in namespaces, and experiments in them. Exit codes: 0 done or
 * passed, 1 failed, 2 wrong usage.
 */
import { spawnSync } from "node:child_process";
import { Command, Option } from "commander";
import { MpfwdError } from "../src/core/errors.ts";
import { TRANSPORTS } from "../src/core/transport.ts";
import { controllerLines } from "./controller-option.ts";
import { DIRECTIONS, type Direction } from "./emulator/control.ts";
import { EXPERIMENTS } from "./experiments/experiments.ts";
import { LINK_KEYS, parseImpairments, parseLink } from "./link-options.ts";
import { SENDERS } from "./load/congestion.ts";
import { listOf, readCount, readCounts } from "./option-values.ts";
import type { TransportChoice } from "./portal-files.ts";
import { type RunOptions, runExperiments } from "./runner.ts";
import { removeOnSignal } from "./signals.ts";
import { Lab } from "./topology/lab.ts";
import { MIDDLEBOX_EXAMPLE, parseMiddlebox } from "./topology/middlebox.ts";
import { groupName, namespaceName, type Role } from "./topology/names.ts";
import { labIds, removeLab } from "./topology/remains.ts";

const LINKS_DEFAULT = ["rate=50mbit,delay=10ms", "rate=50mbit,delay=10ms"];
const EXIT = { passed: 0, failed: 1, usage: 2 } as const;

function program(): Command {
  const lab = new Command("lab")
    .description(
      "Networks in namespaces: client - Local Portal - N links - Remote Portal - server.",
    )
    .showHelpAfterError()
    .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.passed : EXIT.usage))
    .addHelpText("after", EXAMPLES);
  lab
    .command("up")
    .description("build a lab that stays until `down`")
    .option("-l, --link <options>", `a link, repeat for more: ${LINK_KEYS.join(" ")}`, collect)
    .option("--super-packets", "link devices keep their segmentation offloads", false)
    .option("--direct <link>", "route client and server over this link without a tunnel", readCount)
    .action(up);
  lab
    .command("down [ID]")
    .description("remove a lab, or all of this group, those of killed runs too")
    .option("--all", "every lab of this group", false)
    .action(down);
  lab
    .command("shell NAMESPACE")
    .description("a shell in client, lp, isp1.., rp or server (of the only lab, or ID/client)")
    .action(shell);
  lab
    .command("set ID LINK OPTIONS")
    .description("change what a link's emulator does: cut, restore, delay=.., loss=.. and so on")
    .addOption(new Option("--only <direction>").choices([...DIRECTIONS]))
    .action(set);
  lab
    .command("box ID LINK RULES")
    .description(`a middlebox in a link's provider: none, or such as ${MIDDLEBOX_EXAMPLE},only=443`)
    .action(box);
  lab.command("report [ID]").description("what the emulators did, as JSON").action(report);
  lab.command("list").description("experiments, and the labs that stand").action(list);
  addRun(lab);
  return lab;
}

const EXAMPLES = `
Examples:
  npm run lab -- up --link rate=50mbit,delay=10ms --link rate=20mbit,delay=40ms,loss=1%
  npm run lab -- shell client
  npm run lab -- set lab-3fa9c1 1 cut
  npm run lab -- box lab-3fa9c1 1 drop=raw
  npm run lab -- run core-5-two-links --transport raw --json
  npm run lab -- down --all`;

function addRun(lab: Command): void {
  lab
    .command("run NAME...")
    .description("run experiments; exit code 1 when a criterion is missed")
    .option("--json", "one JSON document a line instead of a table", false)
    .addOption(
      new Option("--transport <which>", "both: raw, then udp")
        .choices(["both", "auto", ...TRANSPORTS])
        .default("both"),
    )
    .addOption(new Option("--family <which>", "of the outer packets").choices(["4", "6"]))
    .option("--repeat <count>", "run each so often, with another seed each time", readCount, 1)
    .option("--brief", "shorter, as in the test run", false)
    .option("--bytes <count>", "octets of a transfer", readCount)
    .option(
      "--controller <name>",
      "the links' congestion control, fixed:RATE too; default: the portals' own",
      controller,
    )
    .addOption(new Option("--direction <which>", "of the load").choices([...DIRECTIONS]))
    .option("--senders <names>", `TCP senders, of ${SENDERS.join(" ")}, by comma`, listOf(SENDERS))
    .option("--flows <counts>", "numbers of parallel flows, by comma", readCounts)
    .action(async (names: string[], options: RunFlags) => {
      const { transport, direction, family, ...rest } = options;
      const transports: TransportChoice[] = transport === "both" ? ["raw", "udp"] : [transport];
      const directions = direction === undefined ? {} : { directions: [direction] };
      const outer =
        family === undefined ? {} : { family: family === "6" ? (6 as const) : (4 as const) };
      const passed = await runExperiments(names, { ...rest, ...directions, ...outer, transports });
      process.exitCode = passed ? EXIT.passed : EXIT.failed;
    });
}

interface RunFlags extends Omit<RunOptions, "transports" | "directions" | "family"> {
  readonly direction?: Direction;
  readonly family?: "4" | "6";
  readonly transport: TransportChoice | "both";
}

async function up(options: {
  readonly link?: string[];
  readonly superPackets: boolean;
  readonly direct?: number;
}): Promise<void> {
  const links = (options.link ?? LINKS_DEFAULT).map(parseLink);
  const standing = new Set<Lab>();
  const stopListening = removeOnSignal(standing);
  const lab = await Lab.up({ links, superPackets: options.superPackets, standing });
  if (options.direct !== undefined) await lab.direct(options.direct);
  stopListening();
  lab.leave();
  console.log(lab.id);
}

async function down(id: string | undefined, options: { readonly all: boolean }): Promise<void> {
  const ids = options.all ? await labIds(groupName()) : [await onlyLab(id)];
  for (const one of ids) {
    await removeLab(one);
    console.log(`removed ${one}`);
  }
}

async function shell(where: string): Promise<void> {
  const [id, role] = where.includes("/") ? where.split("/", 2) : [await onlyLab(undefined), where];
  const namespace = namespaceName(id ?? "", role as Role);
  const args = ["netns", "exec", namespace, process.env["SHELL"] ?? "bash"];
  process.exitCode = spawnSync("ip", args, { stdio: "inherit" }).status ?? EXIT.failed;
}

async function set(
  id: string,
  link: string,
  text: string,
  options: { readonly only?: Direction },
): Promise<void> {
  const directions = options.only === undefined ? DIRECTIONS : [options.only];
  await Lab.attach(id).impair(readCount(link), parseImpairments(text), directions);
}

async function box(id: string, link: string, rules: string): Promise<void> {
  await Lab.attach(id).middlebox(readCount(link), parseMiddlebox(rules));
}

async function report(id: string | undefined): Promise<void> {
  console.log(JSON.stringify(await Lab.attach(await onlyLab(id)).report(), null, 2));
}

async function list(): Promise<void> {
  for (const { name, summary } of EXPERIMENTS) console.log(`${name.padEnd(28)} ${summary}`);
  for (const id of await labIds(groupName())) console.log(`lab ${id} stands`);
}

/** The lab of this id, of whichever group, or the only one of ours. @throws MpfwdError ERR_USAGE */
async function onlyLab(id: string | undefined): Promise<string> {
  if (id !== undefined) {
    const [, group] = /^([a-z0-9-]+)-[0-9a-f]{6}$/.exec(id) ?? [];
    if (group !== undefined && (await labIds(group)).includes(id)) return id;
    throw new MpfwdError("ERR_USAGE", `no lab ${id} stands; \`lab list\` names those that do`);
  }
  const [only, ...others] = await labIds(groupName());
  if (only !== undefined && others.length === 0) return only;
  const why = only === undefined ? "no lab stands" : `${others.length + 1} labs stand; name one`;
  throw new MpfwdError("ERR_USAGE", why);
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function controller(text: string): string {
  controllerLines(text);
  return text;
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new MpfwdError("ERR_PRIVILEGE", "the lab needs root: sudo");
  await program().parseAsync();
}

main().catch((error: unknown) => {
  console.error(error instanceof MpfwdError ? `lab: ${error.message}` : error);
  const usage = error instanceof MpfwdError && error.code === "ERR_USAGE";
  process.exitCode = usage ? EXIT.usage : EXIT.failed;
});
