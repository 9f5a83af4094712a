/**
 * A configuration file's text to a portal's configuration or to all its faults. Reads nothing
 * itself: what stands in a key file comes from the caller.
 */
import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { TRANSPORTS, type Transport } from "../../core/transport.ts";
import type {
  ClientConfig,
  ControllerName,
  ControllerSettings,
  LocalConfig,
  PortalConfig,
  RemoteConfig,
} from "../../portal/config.ts";
import { crossCheckLocal, crossCheckRemote } from "./crosscheck.ts";
import { type Fault, inOrder, type PlacedFault, placeFault } from "./fault.ts";
import { type KeyPath, type Location, locate } from "./locate.ts";
import {
  type LocalTable,
  localSchema,
  type RemoteTable,
  remoteSchema,
  roleSchema,
} from "./schema.ts";
import { readShape } from "./shape.ts";
import { isTable, type Tree, tablesAt, valueAt } from "./tree.ts";
import type { Reading } from "./values.ts";

export type Judgement =
  | { readonly config: PortalConfig }
  | { readonly faults: readonly PlacedFault[] };

/** What the text alone does not say. */
export interface Surroundings {
  /** @param path - as written in `key_file` */
  readKeyFile(path: string): Reading<Uint8Array>;
  /** What is wrong with a file that carries a key itself; null: nothing. */
  readonly exposed: { readonly what: string; readonly expected: string } | null;
}

export function judge(text: string, around: Surroundings): Judgement {
  const parsed = parseTree(text);
  if ("fault" in parsed) return { faults: [placeFault(parsed.fault, text, null)] };
  const { tree } = parsed;
  const location = locate(text);
  const faults: Fault[] = [];
  const keys = new Map<string, Uint8Array>();
  for (const path of secretTables(tree)) faults.push(...secretFaults(tree, path, around, keys));
  const config = readTree(tree, keys, faults);
  if (config !== null && faults.length === 0) return { config };
  return { faults: place(faults, text, location) };
}

function readTree(tree: Tree, keys: Keys, faults: Fault[]): PortalConfig | null {
  const role = v.safeParse(roleSchema, tree["role"]);
  // With the role unknown, the tables tell which one was meant; its fault comes from the schema.
  const remote = role.success ? role.output === "remote" : "client" in tree || "listen" in tree;
  if (remote) {
    const shape = readShape(remoteSchema, tree);
    faults.push(...shape.faults, ...crossCheckRemote(tree));
    return shape.output === null || faults.length > 0 ? null : remoteConfig(shape.output, keys);
  }
  const shape = readShape(localSchema, tree);
  faults.push(...shape.faults, ...crossCheckLocal(tree));
  return shape.output === null || faults.length > 0 ? null : localConfig(shape.output, keys);
}

/** Keys by the table they belong to. */
type Keys = ReadonlyMap<string, Uint8Array>;

function localConfig(table: LocalTable, keys: Keys): LocalConfig {
  const { peer } = table;
  return {
    role: "local",
    tunnel: tunnelConfig(table.tunnel),
    clientId: peer.client_id,
    key: peer.key ?? keyOf(keys, ["peer"]),
    port: peer.port,
    protocol: peer.protocol,
    rekeySeconds: peer.rekey_seconds,
    links: table.link.map(({ controller, rate, min_transport: least, ...link }) => ({
      ...withoutUndefined(link),
      transports: permitted(link.transport, least),
      remote: link.remote ?? peer.address,
      controller: controllerOf({ ...table.tunnel, ...withoutUndefined({ controller, rate }) }),
      dscp: link.dscp ?? table.tunnel.dscp,
    })),
  };
}

/** What a link may use, best first. */
function permitted(transport: "auto" | Transport, least: Transport): readonly Transport[] {
  return transport === "auto" ? TRANSPORTS.slice(0, TRANSPORTS.indexOf(least) + 1) : [transport];
}

function remoteConfig(table: RemoteTable, keys: Keys): RemoteConfig {
  const { addresses, ...listen } = table.listen;
  return {
    role: "remote",
    tunnel: tunnelConfig(table.tunnel),
    listen: addresses,
    ...listen,
    clients: table.client.map(
      (client, index): ClientConfig => ({
        name: client.name,
        clientId: client.client_id,
        key: client.key ?? keyOf(keys, ["client", index]),
        inner: client.inner,
      }),
    ),
  };
}

function tunnelConfig(table: LocalTable["tunnel"]): PortalConfig["tunnel"] {
  const { tag_octets, controller, rate, compete, ...rest } = table;
  return {
    ...withoutUndefined(rest),
    tagOctets: tag_octets,
    controller: controllerOf({ controller, rate, compete }),
  };
}

interface ControllerKeys {
  readonly controller: ControllerName;
  readonly rate?: number | undefined;
  readonly compete: boolean;
}

function controllerOf({ controller, rate, compete }: ControllerKeys): ControllerSettings {
  if (controller === "dtc") return { name: controller, compete };
  if (controller !== "fixed") return { name: controller };
  if (rate === undefined)
    throw new Error("bug in mpfwd: a fixed rate without rate passed its checks");
  return { name: controller, rateBitsPerSecond: rate };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** A key that is absent, rather than present and undefined. */
function withoutUndefined<T extends object>(table: T): Defined<T> {
  const entries = Object.entries(table).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Defined<T>;
}

function keyOf(keys: Keys, path: KeyPath): Uint8Array {
  const key = keys.get(JSON.stringify(path));
  if (key === undefined) throw new Error("bug in mpfwd: a table without key passed its checks");
  return key;
}

function secretTables(tree: Tree): KeyPath[] {
  const clients = tablesAt(tree, ["client"]).map(({ path }) => path);
  return isTable(tree["peer"]) ? [["peer"], ...clients] : clients;
}

/** Reads a table's key file into `keys`; faults of exposure and of reading. */
function secretFaults(
  tree: Tree,
  path: KeyPath,
  around: Surroundings,
  keys: Map<string, Uint8Array>,
): Fault[] {
  const inline = valueAt(tree, [...path, "key"]) !== undefined;
  const faults: Fault[] =
    inline && around.exposed !== null
      ? [{ path: [...path, "key"], at: "key", ...around.exposed }]
      : [];
  const file = valueAt(tree, [...path, "key_file"]);
  if (typeof file !== "string") return faults;
  const reading = around.readKeyFile(file);
  if ("value" in reading) keys.set(JSON.stringify(path), reading.value);
  else {
    const expected = reading.expected ?? "32 octets in base64 on one line";
    faults.push({ path: [...path, "key_file"], what: reading.wrong, expected });
  }
  return faults;
}

function parseTree(text: string): { readonly tree: Tree } | { readonly fault: Fault } {
  try {
    return { tree: parse(text) as Tree };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const lines = text.split("\n").slice(0, error.line - 1);
    const offset = lines.reduce((sum, line) => sum + line.length + 1, error.column - 1);
    // The parser's message goes on with a piece of the file, which may hold a key.
    const what = (error.message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
    return { fault: { path: [], what: `this is not TOML: ${what}`, offset } };
  }
}

function place(faults: readonly Fault[], text: string, location: Location): PlacedFault[] {
  return inOrder(faults.map((fault) => placeFault(fault, text, location)));
}
