/**
 * Compiles the npm packages that packet I/O is compared with, when they are asked for and not before:
 * `npm ci` leaves their install scripts out. What cannot be done is said with the command that mends it.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MpfwdError } from "../../src/core/errors.ts";
import { run } from "../command.ts";

export type ComparedPackage = "raw-socket" | "cap";

export const COMPARED_PACKAGES: readonly ComparedPackage[] = ["raw-socket", "cap"];

const COMPILE_LIMIT_MS = 300_000;
const INSTALL_LIMIT_MS = 300_000;
/** Of what a failed command said. */
const LINES_SHOWN = 12;
const PCAP_PACKAGE = "libpcap-dev";
const PCAP_HEADER = "#include <pcap/pcap.h>\n";

const ROOT = rootOf(dirname(fileURLToPath(import.meta.url)));

/** @throws MpfwdError ERR_USAGE naming the packages there are */
export function parsePackages(text: string): ComparedPackage[] {
  return text.split(",").map((name) => {
    const found = COMPARED_PACKAGES.find((known) => known === name);
    if (found !== undefined) return found;
    const known = COMPARED_PACKAGES.join(", ");
    throw new MpfwdError("ERR_USAGE", `--io does not know "${name}"; it knows ${known}`);
  });
}

/** @throws MpfwdError ERR_HOST with the command that mends it */
export async function compilePackages(
  names: readonly ComparedPackage[],
  say: (line: string) => void,
): Promise<void> {
  for (const name of names) {
    if ((await loadFault(name)) !== null) await compile(name, say);
  }
}

async function compile(name: ComparedPackage, say: (line: string) => void): Promise<void> {
  if (!existsSync(join(ROOT, "node_modules", name, "package.json"))) {
    throw new MpfwdError("ERR_HOST", `the npm package ${name} is not installed; run: npm ci`);
  }
  if (name === "cap") await installPcap(say);
  const args = ["rebuild", "--ignore-scripts=false", name];
  const command = `npm ${args.join(" ")}`;
  say(`${name} is not compiled for this Node: ${command}`);
  const input = { env: buildEnvironment(), limitMs: COMPILE_LIMIT_MS, mayFail: true };
  const done = await run("npm", ["--prefix", ROOT, ...args], input);
  const fault = await loadFault(name);
  if (fault === null) return;
  const said = done.code === 0 ? fault : lastLines(`${done.stdout}\n${done.stderr}`);
  const mend = `apt-get install g++ make python3, then: ${command}`;
  throw new MpfwdError(
    "ERR_HOST",
    `the npm package ${name} cannot be compiled; run: ${mend}\n${said}`,
  );
}

/** Node-gyp would download the headers of this Node; they may lie beside it. */
function buildEnvironment(): Record<string, string> {
  const bin = dirname(process.execPath);
  const beside = dirname(bin);
  const common = {
    PATH: `${bin}:${process.env["PATH"] ?? ""}`, // The npm and the Node of this process.
    npm_config_loglevel: "error", // Even under `npm run --silent`: a fault is shown.
  };
  const headers = join(beside, "include", "node", "node.h");
  return existsSync(headers) ? { ...common, npm_config_nodedir: beside } : common;
}

async function installPcap(say: (line: string) => void): Promise<void> {
  const args = ["install", "-y", "--no-install-recommends", PCAP_PACKAGE];
  const command = `apt-get ${args.join(" ")}`;
  const missing = new MpfwdError("ERR_HOST", `cap needs libpcap's headers; run: ${command}`);
  if (await hasPcap()) return;
  if (process.getuid?.() !== 0) throw missing;
  say(`cap needs libpcap's headers: ${command}`);
  const options = { env: { DEBIAN_FRONTEND: "noninteractive" }, limitMs: INSTALL_LIMIT_MS };
  await run("apt-get", args, { ...options, mayFail: true }).catch(() => {}); // No Debian: see below.
  if (!(await hasPcap())) throw missing;
}

async function hasPcap(): Promise<boolean> {
  const args = ["-E", "-x", "c++", "-o", "/dev/null", "-"];
  const compiler = process.env["CXX"] ?? "g++";
  try {
    return (await run(compiler, args, { input: PCAP_HEADER, mayFail: true })).code === 0;
  } catch (cause) {
    const message = `there is no C++ compiler (${compiler}); run: apt-get install g++ make python3`;
    throw new MpfwdError("ERR_HOST", message, cause);
  }
}

/** In another process, because these packages are not written to be loaded beside anything else. */
async function loadFault(name: ComparedPackage): Promise<string | null> {
  const done = await run(
    process.execPath,
    ["-e", `require(${JSON.stringify(join(ROOT, "node_modules", name))})`],
    {
      mayFail: true,
    },
  );
  return done.code === 0 ? null : lastLines(done.stderr);
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-LINES_SHOWN).join("\n");
}

/** Both for compiled code and for sources run as they are. */
function rootOf(folder: string): string {
  const manifest = join(folder, "package.json");
  const isRoot = existsSync(manifest) && readFileSync(manifest, "utf8").includes('"name": "mpfwd"');
  return isRoot || folder === dirname(folder) ? folder : rootOf(dirname(folder));
}
