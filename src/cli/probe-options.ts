/** The command line of `mpfwd probe`: from words to what is to be probed, or a mistake in usage. */
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import * as v from "valibot";
import { MpfwdError } from "../core/errors.ts";
import { SECOND } from "../core/time.ts";
import { DEFAULT_PORT, DEFAULT_PROTOCOL, type LocalConfig } from "../portal/config.ts";
import { DURATION_US } from "../probe/plan.ts";
import * as value from "./configuration/values.ts";
import { readConfiguration, readSecret } from "./configuration.ts";

/** As commander gives them. */
export interface ProbeFlags {
  readonly key?: string;
  readonly clientId?: string;
  readonly listen: boolean;
  readonly link?: readonly string[];
  readonly device?: string;
  readonly source?: string;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly protocol?: string;
  readonly port?: string;
  readonly duration?: string;
  readonly rate?: string;
  readonly long: boolean;
  readonly trace: boolean;
  readonly json: boolean;
}

export interface Identity {
  readonly clientId: Uint8Array;
  readonly key: Uint8Array;
}

export interface LinkWish {
  readonly name: string;
  readonly host: string;
  readonly device?: string;
  readonly source?: string;
  readonly mtu: number;
}

export interface ProbeWish {
  readonly identity: Identity;
  readonly links: readonly LinkWish[];
  readonly family: 4 | 6 | null;
  readonly port: number;
  readonly protocol: number;
  readonly durationUs: number;
  /** Bits a second. */
  readonly rate: number;
  readonly long: boolean;
  readonly trace: boolean;
}

const MTU = 1500;
const RATE = 2e6;
/** What a Remote Portal's half sends at the most, see `probe/responder.ts`. */
const RATES = { min: 2e5, max: 1e7 } as const;
const SECONDS = { min: 6, max: 120 } as const;

/** @throws MpfwdError ERR_USAGE or ERR_CONFIG */
export function readProbe(target: string, flags: ProbeFlags): ProbeWish {
  const config = isFile(target) ? localOf(target) : null;
  const common = {
    family: familyOf(flags),
    port: numberOf(flags.port, "--port", 1, 65_535) ?? config?.port ?? DEFAULT_PORT,
    protocol: protocolOf(flags) ?? config?.protocol ?? DEFAULT_PROTOCOL,
    durationUs:
      (numberOf(flags.duration, "--duration", SECONDS.min, SECONDS.max) ?? 0) * SECOND ||
      DURATION_US,
    rate: rateOf(flags.rate),
    ...{ long: flags.long, trace: flags.trace },
  };
  if (config !== null) return { ...common, ...fromConfig(config, flags) };
  if (flags.link !== undefined) throw usage("--link chooses links of a configuration file");
  const host = parsed(value.host, target, "the target");
  const { device, source } = flags;
  const link = {
    ...{ name: device ?? source ?? "link", host, mtu: MTU },
    ...(device === undefined ? {} : { device: parsed(value.deviceName, device, "--device") }),
    ...(source === undefined ? {} : { source: parsed(value.address, source, "--source") }),
  };
  return { ...common, identity: identityOf(flags), links: [link] };
}

/** The key of `--key`, and the client id of the same file or of `--client-id`. */
export function identityOf(flags: ProbeFlags): Identity {
  if (flags.key === undefined) {
    throw usage("--key FILE is missing: the key as the Remote Portal has it (mpfwd genkey)");
  }
  const [keyLine = "", idLine] = readSecret(flags.key).trim().split(/\s+/);
  const key = value.readKey(keyLine);
  if ("wrong" in key) throw new MpfwdError("ERR_CONFIG", `${flags.key}: ${key.wrong}`);
  const id = flags.clientId ?? idLine;
  if (id === undefined) {
    const mend = "as a second line of the key file, or by --client-id";
    throw usage(`the client id is missing: give it ${mend}`);
  }
  return { key: key.value, clientId: parsed(value.clientId, id, "the client id") };
}

export function protocolOf({ protocol }: ProbeFlags): number | undefined {
  if (protocol === undefined) return undefined;
  return parsed(value.protocol, Number(protocol), "--protocol");
}

export function numberOf(
  text: string | undefined,
  name: string,
  low: number,
  high: number,
): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= low && number <= high) return number;
  throw usage(`${name} ${text}: a whole number from ${low} to ${high} is needed`);
}

export function familyOf({ ipv4, ipv6 }: ProbeFlags): 4 | 6 | null {
  if (ipv4 && ipv6) throw usage("-4 and -6 exclude each other");
  return ipv4 ? 4 : ipv6 ? 6 : null;
}

function isFile(target: string): boolean {
  return (
    target.endsWith(".toml") || target.includes("/") || (isIP(target) === 0 && existsSync(target))
  );
}

function localOf(file: string): LocalConfig {
  const config = readConfiguration(file);
  if (config.role === "local") return config;
  throw usage(`${file} is the file of a Remote Portal; probe from the Local Portal's machine`);
}

function fromConfig(config: LocalConfig, flags: ProbeFlags): Pick<ProbeWish, "identity" | "links"> {
  const { key, clientId, device, source } = flags;
  if (key !== undefined || clientId !== undefined || device !== undefined || source !== undefined) {
    throw usage("--key, --client-id, --device and --source stand in the configuration file");
  }
  const chosen = flags.link ?? config.links.map(({ name }) => name);
  const links = chosen.map((name) => {
    const link = config.links.find((one) => one.name === name);
    if (link === undefined) {
      const known = config.links.map((one) => one.name).join(", ");
      throw usage(`there is no link ${JSON.stringify(name)}; there are ${known}`);
    }
    const place = {
      ...(link.device === undefined ? {} : { device: link.device }),
      ...(link.source === undefined ? {} : { source: link.source }),
    };
    return { name: link.name, host: link.remote, mtu: link.mtu, ...place };
  });
  return { identity: { clientId: config.clientId, key: config.key }, links };
}

function rateOf(text: string | undefined): number {
  if (text === undefined) return RATE;
  const rate = parsed(value.rate, text, "--rate");
  if (rate >= RATES.min && rate <= RATES.max) return rate;
  throw usage(`--rate ${text}: 200kbit to 10mbit are possible`);
}

function parsed<T>(schema: v.GenericSchema<unknown, T>, input: unknown, name: string): T {
  const result = v.safeParse(schema, input);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const expected = issue.kind === "schema" ? issue.message : issue.expected;
  throw usage(`${name} must be ${expected}`);
}

function usage(text: string): MpfwdError {
  return new MpfwdError("ERR_USAGE", text);
}
