/** The configuration files of a lab's portals, and what their tunnel is called and addressed by. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_PORT, DEFAULT_PROTOCOL, type Transport } from "../src/portal/config.ts";
import type { Lab } from "./topology/lab.ts";
import { ADDRESS, type Family, NETWORK } from "./topology/names.ts";

export type Side = "local" | "remote";

/** Which pair of portals of a lab. */
export type Pair = 1 | 2;

export interface PortalOptions {
  readonly transport: Transport;
  /** The links' congestion control, at both ends; null or absent: the portals' default. */
  readonly controller?: string | null;
  /** Link numbers; default: all of the lab. */
  readonly links?: readonly number[];
  /** Outer family; default 4. */
  readonly family?: Family;
  /** Lines for the `[tunnel]` table of both files, such as `encrypt = true`. */
  readonly tunnel?: readonly string[];
  /** Lines for every `[[link]]` table. */
  readonly link?: readonly string[];
  /** A second pair in the same lab has no routes: it is reached by its inner addresses only. */
  readonly pair?: Pair;
  /** The portals' `main.js`; default: of this very tree. */
  readonly cli?: string;
  /** Runs the portals under this Node, with these arguments in front. */
  readonly node?: readonly string[];
}

export interface PortalFiles extends Readonly<Record<Side, { path: string; name: string }>> {
  readonly directory: string;
}

const HOST = { local: 2, remote: 1 } as const;

/** Inner address of a TUN device: 10.77.0.0/24 and fd10:77::/64, 78 for the second pair. */
export function innerAddress(side: Side, family: Family, pair: Pair = 1): string {
  const network = 76 + pair;
  return family === 4 ? `10.${network}.0.${HOST[side]}` : `fd10:${network}::${HOST[side]}`;
}

/** Writes both files into a directory of the lab, with a new secret. */
export function writePortalFiles(lab: Lab, options: PortalOptions): PortalFiles {
  const { pair = 1 } = options;
  const directory = join(lab.stateDirectory, pair === 1 ? "portals" : `portals${pair}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const secret = {
    id: randomBytes(8).toString("hex"),
    key: randomBytes(32).toString("base64"),
  };
  const text = { local: localText(lab, options, secret), remote: remoteText(options, secret) };
  const write = (side: Side) => {
    const path = join(directory, `${side}.toml`);
    writeFileSync(path, text[side], { mode: 0o600 });
    return { path, name: tunName(side, pair) };
  };
  return { directory, local: write("local"), remote: write("remote") };
}

const tunName = (side: Side, pair: Pair) => `${side === "local" ? "mpl" : "mpr"}${pair - 1}`;

interface Secret {
  readonly id: string;
  readonly key: string;
}

function localText(lab: Lab, options: PortalOptions, secret: Secret): string {
  const family = options.family ?? 4;
  const numbers = options.links ?? lab.links.map((_, index) => index + 1);
  const links = numbers.map(
    (link) => `
[[link]]
name = "link${link}"
device = "wan${link}"
source = "${ADDRESS.access(family, link, 2)}"
transport = "${options.transport}"
${controllerLine(options)}${lines(options.link)}`,
  );
  return `role = "local"
${tunnelText("local", options)}${routesLine(options)}
[peer]
address = "${ADDRESS.remote(family)}"
${numberLines(options)}client_id = "${secret.id}"
key = "${secret.key}"
${links.join("")}`;
}

function remoteText(options: PortalOptions, secret: Secret): string {
  const { pair = 1 } = options;
  const own = [innerAddress("local", 4, pair), innerAddress("local", 6, pair)];
  const inner = pair === 1 ? [...own, NETWORK.client(4), NETWORK.client(6)] : own;
  return `role = "remote"
${tunnelText("remote", options)}${controllerLine(options)}
[listen]
${numberLines(options)}
[[client]]
name = "lab"
client_id = "${secret.id}"
key = "${secret.key}"
inner = [${inner.map((one) => `"${one}"`).join(", ")}]
`;
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
function numberLines({ pair = 1 }: PortalOptions): string {
  const beyond = pair - 1;
  return `port = ${DEFAULT_PORT + beyond}\nprotocol = ${DEFAULT_PROTOCOL + beyond}\n`;
}

function controllerLine({ controller }: PortalOptions): string {
  return typeof controller === "string" ? `controller = "${controller}"\n` : "";
}

function lines(list: readonly string[] = []): string {
  return list.map((line) => `${line}\n`).join("");
}
