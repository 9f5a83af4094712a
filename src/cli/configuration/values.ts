/**
 * The forms a value of a configuration file may take, as valibot schemas. A schema's message says
 * what is expected; the message of a later step says what is wrong with this very value. No message
 * ever repeats a key.
 */
import * as v from "valibot";
import { networkOf, type Prefix, parseAddress, parsePrefix } from "../../core/prefix.ts";
import { DEFAULT_PROTOCOL } from "../../portal/config.ts";
import { protocolInUse } from "./protocols.ts";

/** A value, or what is wrong with its text. */
export type Reading<T> =
  | { readonly value: T }
  | { readonly wrong: string; readonly expected?: string };

export const KEY_OCTETS = 32;
export const CLIENT_ID_OCTETS = 8;

const RATE_UNITS: Readonly<Record<string, number>> = { kbit: 1e3, mbit: 1e6, gbit: 1e9 };
/** Bits a second. */
const RATE_RANGE = { min: 1e4, max: 1e11 } as const;

/** Names this project gives to its own devices and instances. */
export const INSTANCE_NAME = /^[a-z][a-z0-9_-]{0,14}$/;
/** Names others gave to theirs: a VLAN is often `eth0.7`. Never begins like an option; IFNAMSIZ is 16 with the NUL. */
const DEVICE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;
/** Names of links and clients: they stand in logs and tables. */
const LABEL = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;
/** RFC 1123 section 2.1. */
const HOST_NAME =
  /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

export function text<T>(expected: string, read: (text: string) => Reading<T>) {
  return v.pipe(v.string(expected), reading(expected, read));
}

/** @param low - smallest, `high` - largest allowed whole number */
export function integer(low: number, high: number, unit = "") {
  const expected = `a whole number from ${low} to ${high}${unit}`;
  return v.pipe(
    v.number(expected),
    reading(expected, (value: number): Reading<number> => {
      const fits = Number.isInteger(value) && value >= low && value <= high;
      return fits ? { value } : { wrong: `${value} is out of range` };
    }),
  );
}

export const yesOrNo = v.boolean("true or false, without quotes");

export function oneOf<const T extends readonly (string | number)[]>(options: T) {
  return v.picklist(
    options,
    `one of ${options.map((option) => JSON.stringify(option)).join(", ")}`,
  );
}

/** What a link's owner says that it carries; only `controller = "fixed"` believes it. */
export const rate = text('a rate such as "50mbit", 10kbit to 100gbit', (written) => {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)(kbit|mbit|gbit)$/.exec(written) ?? [];
  if (digits === undefined) return { wrong: `"${written}" is not a rate` };
  const bits = Number(digits) * (RATE_UNITS[unit] ?? 0);
  const fits = bits >= RATE_RANGE.min && bits <= RATE_RANGE.max;
  return fits ? { value: bits } : { wrong: `"${written}" is out of range` };
});

export const instanceName = named(
  INSTANCE_NAME,
  "a small letter, then up to 14 of a-z, 0-9, _ and -",
);
export const deviceName = named(
  DEVICE_NAME,
  "the name of a network device, up to 15 letters, digits, ., _ and -; ip link set dev OLD name NEW gives it another",
);
export const label = named(LABEL, "up to 32 letters, digits, dots, _ and -");

export const address = text("an IP address such as 192.0.2.1 or 2001:db8::1", (written) => {
  const prefix = parseAddress(written);
  if (prefix === null) return { wrong: `"${written}" is not an IP address` };
  return { value: prefix.text.slice(0, prefix.text.indexOf("/")) };
});

export const host = text("an IP address or a DNS name", (written) => {
  const prefix = parseAddress(written);
  if (prefix !== null) return { value: prefix.text.slice(0, prefix.text.indexOf("/")) };
  if (/^\[.*\]|^[^:]+:\d+$/.test(written)) {
    return { wrong: `"${written}" carries a port or brackets`, expected: "the address alone" };
  }
  const numeric = /^[\d.]+$/.test(written) || written.includes(":");
  if (!numeric && HOST_NAME.test(written)) return { value: written };
  return { wrong: `"${written}" is neither an IP address nor a DNS name` };
});

/** An address with the length of its network: host bits count. */
export const interfaceAddress = text(
  "an address with a prefix length, such as 10.77.0.1/24",
  (written): Reading<Prefix> => {
    const prefix = parsePrefix(written);
    if (prefix === null) return { wrong: `"${written}" is not an IP address with a length` };
    if (!written.includes("/")) return { wrong: `"${written}" has no prefix length` };
    if (prefix.bits === 0) return { wrong: `"${written}" covers every address` };
    return { value: prefix };
  },
);

export const network = text(
  "a network such as 10.77.0.0/24 or fd00::/64",
  (written): Reading<Prefix> => {
    const prefix = parsePrefix(written);
    if (prefix === null) return { wrong: `"${written}" is not an IP network` };
    const own = networkOf(prefix);
    if (own.text === prefix.text) return { value: prefix };
    return { wrong: `"${written}" has bits set behind its length`, expected: own.text };
  },
);

export const key = text("32 octets in base64, as mpfwd genkey prints them", readKey);

export const clientId = text("8 octets as 16 hexadecimal digits", (written) => {
  if (!/^[0-9a-f]{16}$/i.test(written)) return { wrong: "this is not a client id" };
  return { value: new Uint8Array(Buffer.from(written, "hex")) };
});

export const protocol = v.pipe(
  integer(1, 254),
  reading(`${DEFAULT_PROTOCOL}, or 254 as the second`, (value: number): Reading<number> => {
    const user = protocolInUse(value);
    if (user === undefined) return { value };
    return { wrong: `protocol ${value} is in use: ${user}` };
  }),
);

/** The key of a file or of a value. Says nothing about the content when it is wrong. */
export function readKey(written: string): Reading<Uint8Array> {
  const octets = Buffer.from(written, "base64");
  const exact = octets.toString("base64") === written;
  if (!exact || octets.length !== KEY_OCTETS) return { wrong: "this is not a key" };
  if (octets.every((octet) => octet === 0)) return { wrong: "a key of zeros protects nothing" };
  return { value: new Uint8Array(octets) };
}

function named(pattern: RegExp, expected: string) {
  return text(expected, (written) =>
    pattern.test(written)
      ? { value: written }
      : { wrong: `${JSON.stringify(written)} cannot be a name here` },
  );
}

function reading<From, To>(expected: string, read: (value: From) => Reading<To>) {
  return v.rawTransform<From, To>(({ dataset, addIssue, NEVER }) => {
    const result = read(dataset.value);
    if ("value" in result) return result.value;
    addIssue({ message: result.wrong, expected: result.expected ?? expected });
    return NEVER;
  });
}
