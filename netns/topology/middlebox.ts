/**
 * A middlebox in a provider's namespace: rules on what it forwards, by IP protocol and direction, set
 * and changed while the link runs. What a user says about it, and the nftables text it becomes. Pure.
 *
 *   lp --> [emulator] --> forward hook: the rules --> rate limit --> rp         and back
 *
 * A packet passes the forward hook twice with an emulator; the rules look at the device it leaves by,
 * which is a cable of the link on its last pass only.
 */
import { MpfwdError } from "../../src/core/errors.ts";
import { DEFAULT_PROTOCOL } from "../../src/portal/config.ts";
import { DIRECTIONS, type Direction } from "../emulator/control.ts";

/** What a rule is about: a name, or the number of an IP protocol, 0..255. */
export type Traffic = "any" | "raw" | "udp" | "tcp" | "icmp" | number;

type RuleAction =
  /** Drops all of it, silently. */
  | { readonly act: "drop"; readonly traffic: Traffic }
  /** Drops all of it and says so: port unreachable for UDP, prohibited for the rest, from the provider. */
  | { readonly act: "reject"; readonly traffic: Traffic }
  /** Drops what is beyond a rate, bits per second. */
  | { readonly act: "police"; readonly traffic: Traffic; readonly rate: number }
  /** Inverts two octets of the payload behind the IP header. Not of traffic with a checksum. */
  | { readonly act: "mangle"; readonly traffic: Traffic }
  /** Drops packets of more octets than this, IP header included. */
  | { readonly act: "longer"; readonly traffic: Traffic; readonly octets: number }
  /** Drops everything but TCP to and from this port of the Remote Portal. */
  | { readonly act: "only"; readonly port: number };

export type MiddleboxRule = RuleAction & { readonly directions: readonly Direction[] };

/** In order; a packet that one rule drops does not come to the next. */
export type Middlebox = readonly MiddleboxRule[];

/** Passes everything. */
export const NO_MIDDLEBOX: Middlebox = [];

const TABLE = "inet middlebox";
const NAMES: Readonly<Record<string, Traffic>> = {
  any: "any",
  raw: "raw",
  udp: "udp",
  tcp: "tcp",
  icmp: "icmp",
};
const RATE_UNITS: Readonly<Record<string, number>> = { kbit: 1e3, mbit: 1e6 };
/** What passes at once beyond a second's worth of the rate, which the bucket of nftables always holds. */
const POLICE_BURST_OCTETS = 15_000;
/**
 * The first octet behind the IP header that `mangle` inverts: behind the preamble of a message, so that
 * the link id is known and the tag wrong, and in every message there is.
 */
const MANGLE_AT_OCTET = 12;
/** Devices on which packets leave a provider in each direction. */
const LEAVES_BY: Readonly<Record<Direction, string>> = { up: `"rp"`, down: `{ "lp", "lp2" }` };

export const MIDDLEBOX_EXAMPLE = "drop_down=raw,police=raw@1mbit,mangle=raw,longer=raw@1200";

/**
 * `drop=raw`, `reject_up=udp`, `police=raw@1mbit`, `mangle_down=raw`, `longer=raw@1200`, `only=443`,
 * several with commas, `none`. A key without `_up` or `_down` is for both directions; traffic is raw,
 * udp, tcp, icmp, any or a protocol number. `longer=any@1400,drop=icmp` is a path that carries 1400 octets and
 * does not say so. @throws MpfwdError ERR_USAGE naming the part
 */
export function parseMiddlebox(text: string): Middlebox {
  if (text === "none") return NO_MIDDLEBOX;
  return text.split(",").map((part) => {
    const [, act = "", only, value = ""] = /^([a-z]+?)(?:_(up|down))?=(.+)$/.exec(part) ?? [];
    const action = actionOf(act, value);
    if (action === null) throw usage(part);
    return {
      ...action,
      directions: DIRECTIONS.filter((one) => only === undefined || one === only),
    };
  });
}

/** `nft -f` input that puts the box in place of the one before, at once. */
export function middleboxRules(box: Middlebox): string {
  const lines = (chain: (rule: MiddleboxRule) => readonly string[]) =>
    box.flatMap(chain).map((line) => `    ${line}\n`);
  return [
    `table ${TABLE} {\n}\ndelete table ${TABLE}\n`,
    `table ${TABLE} {\n  chain forward {\n    type filter hook forward priority filter\n`,
    ...lines(forwardLines),
    "  }\n  chain output {\n    type filter hook output priority filter\n",
    ...lines(outputLines),
    "  }\n}\n",
  ].join("");
}

function actionOf(act: string, value: string): RuleAction | null {
  if (act === "only") {
    const port = wholeNumber(value, 65_535);
    return port === null ? null : { act, port };
  }
  const [name = "", amount] = value.split("@", 2);
  const traffic = NAMES[name] ?? wholeNumber(name, 255);
  if (traffic === null) return null;
  return amount === undefined ? plainAction(act, traffic) : measuredAction(act, traffic, amount);
}

function plainAction(act: string, traffic: Traffic): RuleAction | null {
  if (act === "drop") return { act, traffic };
  if (act === "reject" && traffic !== "any") return { act, traffic };
  const unchecked = traffic === "raw" || typeof traffic === "number";
  return act === "mangle" && unchecked ? { act, traffic } : null;
}

function measuredAction(act: string, traffic: Traffic, amount: string): RuleAction | null {
  if (act === "longer") {
    const octets = wholeNumber(amount, 65_535);
    return octets === null ? null : { act, traffic, octets };
  }
  const [, digits = "", unit = ""] = /^(\d{1,9})([a-z]+)$/.exec(amount) ?? [];
  const factor = RATE_UNITS[unit];
  return act !== "police" || factor === undefined
    ? null
    : { act, traffic, rate: Number(digits) * factor };
}

function forwardLines(rule: MiddleboxRule): string[] {
  return rule.directions.flatMap((direction) => {
    const leaves = `oifname ${LEAVES_BY[direction]}`;
    if (rule.act !== "only") return [`${leaves} ${matchText(rule.traffic)} ${verdictText(rule)}`];
    const port = direction === "up" ? "dport" : "sport";
    return [`${leaves} meta l4proto != tcp drop`, `${leaves} tcp ${port} != ${rule.port} drop`];
  });
}

/** A provider that drops ICMP sends none itself; what neighbours need of ICMPv6 stays. */
function outputLines(rule: MiddleboxRule): string[] {
  if (rule.act !== "only" && (rule.act !== "drop" || rule.traffic !== "icmp")) return [];
  return rule.directions.flatMap((direction) => {
    const leaves = `oifname ${LEAVES_BY[direction]}`;
    return [
      `${leaves} icmp type { destination-unreachable, time-exceeded, parameter-problem } drop`,
      `${leaves} icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } drop`,
    ];
  });
}

function verdictText(rule: Exclude<RuleAction, { readonly act: "only" }>): string {
  switch (rule.act) {
    case "drop":
      return "drop";
    case "reject":
      return rule.traffic === "udp" ? "reject" : "reject with icmpx type admin-prohibited";
    case "police": {
      const octets = Math.round(rule.rate / 8);
      return `limit rate over ${octets} bytes/second burst ${POLICE_BURST_OCTETS} bytes drop`;
    }
    case "mangle": {
      const field = `@th,${MANGLE_AT_OCTET * 8},16`;
      return `${field} set ${field} ^ 0xffff`;
    }
    case "longer":
      return `meta length > ${rule.octets} drop`;
  }
}

function matchText(traffic: Traffic): string {
  if (traffic === "any") return "";
  if (traffic === "icmp") return "meta l4proto { icmp, ipv6-icmp }";
  return `meta l4proto ${traffic === "raw" ? DEFAULT_PROTOCOL : traffic}`;
}

function wholeNumber(text: string, most: number): number | null {
  return /^\d{1,5}$/.test(text) && Number(text) <= most ? Number(text) : null;
}

function usage(part: string): MpfwdError {
  return new MpfwdError(
    "ERR_USAGE",
    `middlebox rule "${part}" is not understood; such as ${MIDDLEBOX_EXAMPLE},only=443 or none`,
  );
}
