/** The command line: commands, options, help. What a command does stands in its own file. */
import { Command, CommanderError, Option } from "commander";
import { SNAP_OCTETS_MAX, STATE_DIRECTORY } from "../control/control.ts";
import { MpfwdError } from "../core/errors.ts";
import { readDuration, readOctets, readSnap } from "./capture-options.ts";
import { check } from "./check.ts";
import { EXIT } from "./exit.ts";
import { newClientId, newKey } from "./genkey.ts";
import type { ProbeFlags } from "./probe-options.ts";
import { readVersion } from "./version.ts";

const OPENING =
  "Joins several connections to one, packet by packet. A Local Portal stands before the client " +
  'network, a Remote Portal where bandwidth is plentiful; each has a file, and runs "mpfwd up FILE".';

const EXAMPLES = `
Examples:
  mpfwd init --remote vpn.example.net --link dsl,device=eth1 --link lte,device=wwan0
  mpfwd check local.toml
  sudo mpfwd up local.toml
  mpfwd status
  sudo mpfwd probe local.toml

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 not running, 4 privilege;
of probe: 0 raw IP works both ways, 5 UDP is needed, 6 TCP is needed, 7 nothing works.`;

/** @returns the exit code */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.ok;
  const finish = (result: number) => {
    code = result;
  };
  const program = new Command("mpfwd")
    .description(OPENING)
    .version(readVersion(), "-V, --version")
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    .configureHelp({ showGlobalOptions: false });
  addInit(program, finish);
  addGenkey(program);
  addCheck(program, finish);
  addUp(program, finish);
  addStatus(program, finish);
  addProbe(program, finish);
  addCapture(program, finish);
  if (argv.length === 0) {
    program.outputHelp({ error: true });
    throw new CommanderError(EXIT.usage, "mpfwd.noCommand", "no command was given");
  }
  await program.parseAsync(argv, { from: "user" });
  return code;
}

type Finish = (code: number) => void;

function addInit(program: Command, finish: Finish): void {
  program
    .command("init")
    .description("write the files of both portals, with fresh keys")
    .option("--remote <host>", "address or DNS name of the Remote Portal")
    .option(
      "--link <link...>",
      "NAME[,KEY=VALUE].., one link; keys: device, source, remote, transport (auto, raw, udp, tcp), " +
        "min_transport, mtu, metric",
    )
    .option(
      "--network <prefix...>",
      "network of the tunnel's own addresses (default: 10.77.0.0/24)",
    )
    .option("--routes <prefix...>", "networks that the Local Portal reaches through the tunnel")
    .option("--lan <prefix...>", "client networks behind the Local Portal")
    .option("--name <name>", "name of TUN device and instance", "mpfwd0")
    .option("--client <name>", "name of the client in the Remote Portal's file", "client1")
    .option("--port <port>", "UDP and TCP port of the Remote Portal")
    .option("--protocol <number>", "IP protocol number of raw links")
    .option("--out <directory>", "where the files are written", ".")
    .option("--add-to <file>", "add a client to this Remote Portal's file instead of a new one")
    .option("--force", "overwrite files that exist", false)
    .addHelpText(
      "after",
      `
Writes local.toml and remote.toml, both or none, readable by their owner only.
With --add-to the client's file is NAME.toml.

Examples:
  mpfwd init --remote 203.0.113.7 --link dsl,device=eth1 --link lte,device=wwan0,transport=udp
  mpfwd init --remote vpn.example.net --link a,source=192.0.2.10 --routes 0.0.0.0/0 --lan 192.168.1.0/24
  mpfwd init --add-to remote.toml --client office --remote 203.0.113.7 --link dsl,device=eth1`,
    )
    .action(async (options) => {
      const { init } = await import("./init.ts");
      finish(init(options));
    });
}

function addGenkey(program: Command): void {
  program
    .command("genkey")
    .description("print a new key: 32 random octets in base64")
    .option("--client-id", "print a new client id as well", false)
    .addHelpText("after", "\nExample:\n  (umask 077; mpfwd genkey > client.key)")
    .action((options: { clientId: boolean }) => {
      process.stdout.write(`${newKey()}\n${options.clientId ? `${newClientId()}\n` : ""}`);
    });
}

function addCheck(program: Command, finish: Finish): void {
  program
    .command("check")
    .description("judge a configuration file: a summary, or all its faults")
    .argument("<file>", "configuration file")
    .option("--json", "print JSON, faults included", false)
    .addHelpText("after", "\nExamples:\n  mpfwd check local.toml\n  mpfwd check --json remote.toml")
    .action((file: string, options: { json: boolean }) => finish(check(file, options.json)));
}

function addUp(program: Command, finish: Finish): void {
  program
    .command("up")
    .description("run a portal in the foreground, until SIGINT or SIGTERM")
    .argument("<file>", "configuration file")
    .option("--dry-run", "print what would be changed on this machine, and change nothing", false)
    .addOption(stateDirectory())
    .addHelpText(
      "after",
      `
Sets address, MTU and routes of the TUN device and takes everything back at the end; what a killed
run left is removed at the next start.

Examples:
  sudo mpfwd up local.toml
  mpfwd up --dry-run local.toml`,
    )
    .action(async (file: string, options: { dryRun: boolean; stateDirectory: string }) => {
      const { dryRun, up } = await import("./up.ts");
      finish(options.dryRun ? await dryRun(file) : await up(file, options.stateDirectory));
    });
}

function addStatus(program: Command, finish: Finish): void {
  program
    .command("status")
    .description("show running portals: links, rates, losses, drops")
    .argument("[file|name]", "configuration file or instance name; default: all")
    .option("--json", "print JSON: an object for one portal that was named, else a list", false)
    .option("--watch", "print again every second", false)
    .addOption(stateDirectory())
    .addHelpText("after", "\nExamples:\n  mpfwd status\n  mpfwd status mpfwd0 --json")
    .action(async (which: string | undefined, options) => {
      const { status } = await import("./status.ts");
      finish(await status(which, options));
    });
}

function addProbe(program: Command, finish: Finish): void {
  program
    .command("probe")
    .description(
      "measure the way to a Remote Portal: does raw IP pass, or UDP, or TCP only, and why",
    )
    .argument("[target]", "host of the Remote Portal, or a Local Portal's configuration file")
    .option("--key <file>", "the client's key, and in a second line its id")
    .option("--client-id <id>", "the client's id: 16 hexadecimal digits")
    .option("--listen", "answer probes, with a key that is good for this run", false)
    .option("--link <name...>", "only these links of the configuration file")
    .option("--device <name>", "send from this network device")
    .option("--source <address>", "send from this address")
    .option("-4, --ipv4", "IPv4 only", false)
    .option("-6, --ipv6", "IPv6 only", false)
    .option("--protocol <number>", "IP protocol number of raw links")
    .option("--port <port>", "UDP and TCP port of the Remote Portal")
    .option("--duration <seconds>", "6 to 120, about; default: 20")
    .option("--rate <rate>", "on each link and direction, 200kbit to 10mbit; default: 2mbit")
    .option("--long", "also how long idle mappings live: 20 minutes", false)
    .option("--trace", "also hop by hop, raw IP and UDP side by side", false)
    .option("--json", "print JSON", false)
    .addHelpText("after", PROBE_HELP)
    .action(async (target: string | undefined, flags: ProbeFlags) => {
      finish(await runProbe(target, flags));
    });
}

const PROBE_HELP = `
Changes nothing on this machine and stops by itself. The other side is a running Remote Portal, whose
tunnels go on, or "mpfwd probe --listen". A link that is in use is measured beside its traffic.

Exit codes: 0 raw IP works both ways, 5 UDP is needed, 6 TCP is needed, 7 nothing works (of the worst
link), 1 failed, 2 usage, 4 privilege.

Examples:
  sudo mpfwd probe local.toml
  sudo mpfwd probe vpn.example.net --key client.key --device eth1 --trace
  sudo mpfwd probe --listen`;

async function runProbe(target: string | undefined, flags: ProbeFlags): Promise<number> {
  if (flags.listen !== (target === undefined)) {
    const text = flags.listen ? "--listen takes no target" : "a target is missing, or --listen";
    throw new MpfwdError("ERR_USAGE", text);
  }
  if (target === undefined) return (await import("./probe-listen.ts")).probeListen(flags);
  return (await import("./probe.ts")).probe(target, flags);
}

function addCapture(program: Command, finish: Finish): void {
  program
    .command("capture")
    .description("write what a running portal sends and receives on the wire into a pcap file")
    .argument("<pcap>", "the file, or - for standard output")
    .argument("[file|name]", "configuration file or instance name; default: the one that runs")
    .option("--link <name>", "packets of this link only (a Remote Portal: CLIENT/LINK)")
    .addOption(
      new Option("--size <octets>", "end before the file gets longer; with k, M or G")
        .argParser(readOctets)
        .default(Infinity, "no limit"),
    )
    .addOption(
      new Option("--duration <seconds>", "end after this time")
        .argParser(readDuration)
        .default(Infinity, "no limit"),
    )
    .option("--snap <octets>", "octets of each packet that are kept", readSnap, SNAP_OCTETS_MAX)
    .addOption(stateDirectory())
    .addHelpText(
      "after",
      `
Ends at a limit, on SIGINT, or with the portal. One capture of a portal runs at a time.

Examples:
  sudo mpfwd capture tunnel.pcap --duration 10
  sudo mpfwd capture - --link dsl | tcpdump -n -r -
  tshark -X lua_script:scripts/mpfwd.lua -r tunnel.pcap`,
    )
    .action(async (pcap: string, which: string | undefined, options) => {
      const { capture } = await import("./capture.ts");
      finish(await capture(pcap, which, options));
    });
}

function stateDirectory(): Option {
  const text = "where running portals keep socket, lock and record";
  return new Option("--state-directory <directory>", text).default(STATE_DIRECTORY);
}
