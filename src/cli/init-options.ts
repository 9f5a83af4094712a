/** The options of `mpfwd init`, each judged as the value of the same name in a file is. */
import * as v from "valibot";
import { MpfwdError } from "../core/errors.ts";
import { addressAt, type Prefix } from "../core/prefix.ts";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../portal/config.ts";
import { host, instanceName, integer, label, network, protocol } from "./configuration/values.ts";
import { type LinkOption, readLinkOption } from "./link-option.ts";

const DEFAULT_NETWORK = "10.77.0.0/24";

export interface InitOptions {
  readonly remote?: string;
  readonly link?: readonly string[];
  readonly network?: readonly string[];
  readonly routes?: readonly string[];
  readonly lan?: readonly string[];
  readonly name: string;
  readonly client: string;
  readonly port?: string;
  readonly protocol?: string;
  readonly out: string;
  readonly addTo?: string;
  readonly force: boolean;
}

/** What both ways of `init` need, judged. */
export interface Wish {
  readonly remote: string;
  readonly links: readonly LinkOption[];
  readonly networks: readonly Prefix[];
  readonly routes: readonly Prefix[];
  readonly lan: readonly Prefix[];
  readonly name: string;
  readonly client: string;
  readonly port: number;
  readonly protocol: number;
}

/** @throws MpfwdError ERR_USAGE */
export function readOptions(options: InitOptions): Wish {
  if (options.remote === undefined) throw usage("--remote is missing: the Remote Portal's address");
  if (options.link === undefined) throw usage("--link is missing: name at least one");
  const networks = options.network ?? [DEFAULT_NETWORK];
  return {
    remote: option("--remote", host, options.remote),
    links: options.link.map((text) => readLinkOption(text)),
    networks: networks.map((text) => tunnelNetwork(option("--network", network, text))),
    routes: (options.routes ?? []).map((text) => option("--routes", network, text)),
    lan: (options.lan ?? []).map((text) => option("--lan", network, text)),
    name: option("--name", instanceName, options.name),
    client: option("--client", label, options.client),
    port: option("--port", integer(1, 65_535), Number(options.port ?? DEFAULT_PORT)),
    protocol: option("--protocol", protocol, Number(options.protocol ?? DEFAULT_PROTOCOL)),
  };
}

/** @throws MpfwdError ERR_USAGE naming the option, its value and what was expected */
function option<Schema extends v.GenericSchema>(
  name: string,
  schema: Schema,
  value: v.InferInput<Schema>,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw usage(`${name}: ${issue.message}; expected ${issue.expected ?? "another value"}`);
}

function tunnelNetwork(prefix: Prefix): Prefix {
  // Room for both portals; and an IPv4 network ends with its broadcast address.
  if (addressAt(prefix, 3) !== null) return prefix;
  throw usage(`--network: ${prefix.text} has no room for two portals`);
}

function usage(text: string): MpfwdError {
  return new MpfwdError("ERR_USAGE", `${text}; see: mpfwd init --help`);
}
