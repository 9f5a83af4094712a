/** The configuration files of a lab's portals, and what their tunnels are called and addressed by. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TRANSPORTS, type Transport } from "../src/core/transport.ts";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../src/portal/config.ts";
import { controllerLines } from "./controller-option.ts";
import type { Lab } from "./topology/lab.ts";
import { ADDRESS, type Family, NETWORK } from "./topology/names.ts";

/** `neighbour`: the Local Portal of a link's neighbour, another client of the same Remote Portal. */
export type Side = "local" | "neighbour" | "remote";

/** What a link is told to use: one transport, or the best that its path lets through. */
export type TransportChoice = Transport | "auto";

/** Which pair of portals of a lab. */
export type Pair = 1 | 2;

export interface PortalOptions {
  readonly transport: TransportChoice;
  /** The least of the transports that `auto` may fall back to; absent: the portals' default. */
  readonly minTransport?: Transport;
  /** UDP and TCP port of the Remote Portal; default: the portals'. */
  readonly port?: number;
  /** A Local Portal at the neighbour too, over every link of the lab that has one. */
  readonly neighbour?: boolean;
  /** The links' congestion control, at both ends; null or absent: the portals' default. */
  readonly controller?: string | null;
  /** Link numbers; default: all of the lab. */
  readonly links?: readonly number[];
  /** Outer family; default 4. */
  readonly family?: Family;
  /** Lines for the `[tunnel]` table of both files, such as `encrypt = true`. */
  readonly tunnel?: readonly string[];
  /** Lines for the `[peer]` table. */
  readonly peer?: readonly string[];
  /** Links are bound to their device alone: its address may change. */
  readonly sourceless?: boolean;
  /** Links are bound to no device: they follow the routes. */
  readonly deviceless?: boolean;
  /** Lines for every `[[link]]` table. */
  readonly link?: readonly string[];
  /** A second pair in the same lab has no routes: it is reached by its inner addresses only. */
  readonly pair?: Pair;
  /** The portals' `main.js`; default: of this very tree. */
  readonly cli?: string;
  /** Runs the portals under this Node, with these arguments in front. */
  readonly node?: readonly string[];
  /** Environment of the portals, beside this process's. */
  readonly env?: Readonly<Record<string, string>>;
}

interface PortalFile {
  readonly path: string;
  /** Of the TUN device and of the instance. */
  readonly name: string;
}

export interface PortalFiles {
  readonly directory: string;
  readonly of: Readonly<Record<Side, PortalFile>>;
}

const HOST = { local: 2, neighbour: 3, remote: 1 } as const;
const TUN = { local: "mpl", neighbour: "mpn", remote: "mpr" } as const;
/** Numbers of the clients in their ids and names. */
const CLIENTS = ["local", "neighbour"] as const;

/** Inner address of a TUN device: 10.77.0.0/24 and fd10:77::/64, 78 for the second pair. */
export function innerAddress(side: Side, family: Family, pair: Pair = 1): string {
  const network = 76 + pair;
  return family === 4 ? `10.${network}.0.${HOST[side]}` : `fd10:${network}::${HOST[side]}`;
}

/** Writes a file for each side into a directory of the lab, with new secrets. */
export function writePortalFiles(lab: Lab, options: PortalOptions): PortalFiles {
  const { pair = 1 } = options;
  const directory = join(lab.stateDirectory, pair === 1 ? "portals" : `portals${pair}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const secrets = { local: freshSecret(), neighbour: freshSecret() };
  const write = (side: Side, text: string): PortalFile => {
    const path = join(directory, `${side}.toml`);
    writeFileSync(path, text, { mode: 0o600 });
    return { path, name: tunName(side, pair) };
  };
  const of = {
    local: write("local", localText(lab, options, "local", secrets.local)),
    neighbour: write("neighbour", localText(lab, options, "neighbour", secrets.neighbour)),
    remote: write("remote", remoteText(options, secrets)),
  };
  return { directory, of };
}

const tunName = (side: Side, pair: Pair) => `${TUN[side]}${pair - 1}`;

interface Secret {
  readonly id: string;
  readonly key: string;
}

function freshSecret(): Secret {
  return { id: randomBytes(8).toString("hex"), key: randomBytes(32).toString("base64") };
}

/** Numbers of the links that a Local Portal uses. */
export function linksOf(lab: Lab, options: PortalOptions, side: Side): readonly number[] {
  const numbers = options.links ?? lab.links.map((_, index) => index + 1);
  if (side !== "neighbour") return numbers;
  return numbers.filter((link) => lab.links[link - 1]?.neighbour === true);
}

function localText(
  lab: Lab,
  options: PortalOptions,
  side: "local" | "neighbour",
  secret: Secret,
): string {
  const family = options.family ?? 4;
  const source = side === "local" ? ADDRESS.access : ADDRESS.neighbour;
  const links = linksOf(lab, options, side).map(
    (link) => `
[[link]]
name = "link${link}"
${options.deviceless === true ? "" : `device = "wan${link}"\n`}${options.sourceless === true ? "" : `source = "${source(family, link, 2)}"\n`}transport = "${options.transport}"
${leastLine(options)}${controllerLine(options)}${lines(options.link)}`,
  );
  return `role = "local"
${tunnelText(side, options)}${routesLine(options)}
[peer]
address = "${ADDRESS.remote(family)}"
${numberLines(options)}client_id = "${secret.id}"
key = "${secret.key}"
${lines(options.peer)}${links.join("")}`;
}

function remoteText(options: PortalOptions, secrets: Readonly<Record<string, Secret>>): string {
  const clients = CLIENTS.slice(0, options.neighbour === true ? 2 : 1).map(
    (side) => `
[[client]]
name = "${side === "local" ? "lab" : side}"
client_id = "${secrets[side]?.id}"
key = "${secrets[side]?.key}"
inner = [${innerOf(side, options)
      .map((one) => `"${one}"`)
      .join(", ")}]
`,
  );
  return `role = "remote"
${tunnelText("remote", options)}${controllerLine(options)}
[listen]
${numberLines(options)}${transportsLine(options)}${clients.join("")}`;
}

/** What a client may send from: the first one also from the network behind it. */
function innerOf(side: "local" | "neighbour", { pair = 1 }: PortalOptions): string[] {
  const own = [innerAddress(side, 4, pair), innerAddress(side, 6, pair)];
  return pair === 1 && side === "local" ? [...own, NETWORK.client(4), NETWORK.client(6)] : own;
}

function tunnelText(side: Side, options: PortalOptions): string {
  const { pair = 1 } = options;
  return `
[tunnel]
name = "${tunName(side, pair)}"
addresses = ["${innerAddress(side, 4, pair)}/24", "${innerAddress(side, 6, pair)}/64"]
${lines(options.tunnel)}`;
}

function routesLine({ pair = 1 }: PortalOptions): string {
  return pair === 1 ? `routes = ["${NETWORK.server(4)}", "${NETWORK.server(6)}"]\n` : "";
}

/** The defaults for the first pair, the next ones for the second. */
function numberLines({ pair = 1, port = DEFAULT_PORT }: PortalOptions): string {
  const beyond = pair - 1;
  return `port = ${port + beyond}\nprotocol = ${DEFAULT_PROTOCOL + beyond}\n`;
}

function leastLine({ minTransport }: PortalOptions): string {
  return minTransport === undefined ? "" : `min_transport = "${minTransport}"\n`;
}

/** A Remote Portal that is to take TCP too says so. */
function transportsLine({ transport }: PortalOptions): string {
  if (transport === "raw" || transport === "udp") return "";
  return `transports = [${TRANSPORTS.map((one) => `"${one}"`).join(", ")}]\n`;
}

function controllerLine({ controller }: PortalOptions): string {
  return typeof controller === "string" ? lines(controllerLines(controller)) : "";
}

function lines(list: readonly string[] = []): string {
  return list.map((line) => `${line}\n`).join("");
}
