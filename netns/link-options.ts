/**
 * What a user says about one link: `rate=50mbit,delay=10ms,loss_down=1%,nat`. A key without `_up` or
 * `_down` is for both directions; the later one wins. Reading the text is all that is done here.
 */
import { MpfwdError } from "../src/core/errors.ts";
import { MS, SECOND } from "../src/core/time.ts";
import { type Impairments, NO_IMPAIRMENTS } from "./emulator/impairments.ts";

export interface DirectionOptions {
  /** Bits per second on the wire, IP and Ethernet headers included; null: as fast as the machine. */
  readonly rate: number | null;
  /** Depth of the queue before the rate: octets, or microseconds at that rate. */
  readonly queue: { readonly octets: number } | { readonly us: number };
  readonly impairments: Impairments;
}

export interface LinkOptions {
  readonly up: DirectionOptions;
  readonly down: DirectionOptions;
  /** Octets of the largest packet between the provider and the Remote Portal. */
  readonly mtu: number;
  /** The provider masquerades what comes from the Local Portal. */
  readonly nat: boolean;
  /** Goes through the emulator even when nothing is impaired, so that it can be cut later. */
  readonly live: boolean;
  /** A second Local Portal (`lp2`) stands behind the same provider. */
  readonly neighbour: boolean;
}

/** A home router's buffer, as in the comparisons this project is measured against. */
const QUEUE_DEFAULT_US = 50 * MS;
const MTU_DEFAULT = 1500;
/** IPv6 needs 1280 octets (RFC 8200 section 5); the emulator's slots hold 1968. */
const MTU_RANGE = { min: 1280, max: 1968 };

const RATE_UNITS = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const TIME_UNITS = { us: 1, ms: MS, s: SECOND };

type MutableDirection = {
  -readonly [K in keyof DirectionOptions]: K extends "impairments"
    ? { -readonly [I in keyof Impairments]: Impairments[I] }
    : DirectionOptions[K];
};

const DIRECTION_KEYS: Readonly<Record<string, (to: MutableDirection, value: string) => void>> = {
  rate: (to, value) => {
    to.rate = value === "none" ? null : quantity(value, RATE_UNITS);
  },
  queue: (to, value) => {
    to.queue = /[a-z]/.test(value) ? { us: quantity(value, TIME_UNITS) } : { octets: count(value) };
  },
  delay: (to, value) => {
    to.impairments.delayUs = quantity(value, TIME_UNITS);
  },
  jitter: (to, value) => {
    to.impairments.jitterUs = quantity(value, TIME_UNITS);
  },
  loss: (to, value) => {
    to.impairments.loss = share(value);
  },
  burst: (to, value) => {
    to.impairments.burst = count(value);
  },
  duplicate: (to, value) => {
    to.impairments.duplicate = share(value);
  },
  reorder: (to, value) => {
    to.impairments.reorder = share(value);
  },
  gap: (to, value) => {
    to.impairments.gap = count(value);
  },
  lose: (to, value) => {
    to.impairments.lose = value.split(";").map(count);
  },
  stop: (to, value) => {
    to.impairments.stop = count(value);
  },
  police: (to, value) => {
    to.impairments.police = quantity(value, RATE_UNITS);
  },
  bucket: (to, value) => {
    to.impairments.bucket = count(value);
  },
};

/** The options that are the emulator's, and its own names for them. */
const IMPAIRMENT_OF: Readonly<Record<string, keyof Impairments>> = {
  delay: "delayUs",
  jitter: "jitterUs",
  loss: "loss",
  burst: "burst",
  duplicate: "duplicate",
  reorder: "reorder",
  gap: "gap",
  lose: "lose",
  stop: "stop",
  police: "police",
  bucket: "bucket",
};

/** Say how another impairment is done; alone they do nothing. */
const MANNERS: readonly string[] = ["burst", "bucket"] satisfies (keyof Impairments)[];

const FLAGS = ["nat", "live", "neighbour"] as const;

export const LINK_KEYS = [...Object.keys(DIRECTION_KEYS), "mtu", ...FLAGS];

/** @throws MpfwdError ERR_USAGE naming the key and what it takes */
export function parseLink(text: string): LinkOptions {
  const up = freshDirection();
  const down = freshDirection();
  let mtu = MTU_DEFAULT;
  const flags = { nat: false, live: false, neighbour: false };
  for (const part of text.split(",").filter((one) => one !== "")) {
    const [key = "", value = ""] = part.split("=", 2);
    const [, name = "", only] = /^(.*?)(?:_(up|down))?$/.exec(key) ?? [];
    const apply = DIRECTION_KEYS[name];
    try {
      const flag = FLAGS.find((one) => one === key);
      if (flag !== undefined) flags[flag] = true;
      else if (key === "mtu") mtu = inRange(count(value), MTU_RANGE);
      else if (apply === undefined) throw usage(`is not known; known are ${LINK_KEYS.join(" ")}`);
      else for (const to of [up, down]) if (only !== (to === up ? "down" : "up")) apply(to, value);
    } catch (error) {
      if (error instanceof MpfwdError) throw usage(`link option "${part}": ${error.message}`);
      throw error;
    }
  }
  return { up, down, mtu, ...flags };
}

/** What a running emulator is told: `cut`, `restore`, `delay=20ms,loss=1%`. @throws MpfwdError ERR_USAGE */
export function parseImpairments(text: string): Partial<Impairments> {
  if (text === "cut" || text === "restore") return { cut: text === "cut" };
  const change: Record<string, unknown> = {};
  const { impairments } = parseLink(text).up;
  for (const part of text.split(",")) {
    const [key = ""] = part.split("=", 1);
    const field = IMPAIRMENT_OF[key];
    if (field === undefined) {
      throw usage(`"${part}" cannot change; ${Object.keys(IMPAIRMENT_OF).join(" ")} can`);
    }
    change[field] = impairments[field];
  }
  return change;
}

/** Whether anything but the rate has to be done to packets of this direction. */
export function isImpaired(options: DirectionOptions): boolean {
  const { impairments } = options;
  return Object.entries(NO_IMPAIRMENTS).some(([key, neutral]) => {
    const value = impairments[key as keyof Impairments];
    return Array.isArray(value) ? value.length > 0 : !MANNERS.includes(key) && value !== neutral;
  });
}

function freshDirection(): MutableDirection {
  return { rate: null, queue: { us: QUEUE_DEFAULT_US }, impairments: { ...NO_IMPAIRMENTS } };
}

function quantity(text: string, units: Readonly<Record<string, number>>): number {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(text) ?? [];
  const factor = units[unit];
  if (factor !== undefined) return Math.round(Number(digits) * factor);
  throw usage(`needs a number with one of the units ${Object.keys(units).join(" ")}`);
}

function share(text: string): number {
  const [, digits, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  const value = Number(digits) / (percent === "%" ? 100 : 1);
  if (digits !== undefined && value <= 1) return value;
  throw usage("needs a share, such as 1% or 0.01");
}

function count(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw usage("needs a whole number, 1 or more");
}

function inRange(value: number, range: { readonly min: number; readonly max: number }): number {
  if (value >= range.min && value <= range.max) return value;
  throw usage(`needs a number from ${range.min} to ${range.max}`);
}

function usage(message: string): MpfwdError {
  return new MpfwdError("ERR_USAGE", message);
}
