/**
 * Which trains of packets measure a link, when, how long and how fast. A step's trains run side by
 * side; steps follow each other. Both directions of a link are used at the same time, and neither
 * carries more than the rate that was allowed.
 */
import { MS, SECOND } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import { TAG_OCTETS } from "../wire/message.ts";
import { PREAMBLE_OCTETS } from "../wire/preamble.ts";

export const TRAIN_NAMES = [
  /** 10 packets a second, each sent back: who answers at all, round-trip times. */
  "slow",
  /** 100 packets a second. */
  "medium",
  /** 1000 packets a second, or what the rate allows. */
  "fast",
  /** 100 packets back to back. */
  "burst",
  /** One size of the sweep. */
  "size",
  /** With DSCP or ECN set. */
  "marked",
  /** Under the second protocol number for raw links. */
  "otherProtocol",
  /** The first packets after a pause, sent back. */
  "afterIdle",
  /** The first packets after a pause, from the Remote Portal. */
  "portalFirst",
] as const;
export type TrainName = (typeof TRAIN_NAMES)[number];

/** Up: from the Local to the Remote Portal. */
export type Direction = "up" | "down";
export const DIRECTIONS = ["up", "down"] as const satisfies readonly Direction[];

export interface PlannedTrain {
  readonly name: TrainName;
  readonly transport: Transport;
  /** `echo`: up, and each packet back. */
  readonly direction: Direction | "echo";
  /** After the step's begin. */
  readonly startUs: number;
  readonly count: number;
  /** 0: back to back. */
  readonly intervalUs: number;
  /** Of the IP packet. */
  readonly octets: number;
  readonly trafficClass: number;
  /** Of a pause before it, seconds. */
  readonly idleSeconds: number;
}

export interface Step {
  /** For the progress line. */
  readonly title: string;
  readonly trains: readonly PlannedTrain[];
}

export interface PlanOptions {
  readonly family: 4 | 6;
  /** Bits a second and direction that are not exceeded. */
  readonly rate: number;
  /** How long everything but `long` takes, about. */
  readonly durationUs: number;
  /** Octets of the longest packet that the link is said to carry. */
  readonly linkMtu: number;
  readonly long: boolean;
}

/** Which way packets of a transport have arrived. */
export type Reached = ReadonlyMap<Transport, { readonly up: boolean; readonly down: boolean }>;

/** Of the sweep, as IP packets: least, IPv4's, a safe one, IPv6's, and what common tunnels leave. */
const SIZES = [64, 576, 1200, 1280, 1400, 1452, 1480] as const;
/** What a slot holds, outer headers included. */
const SIZE_MAX = 1960;
const PACKETS_A_SIZE = 10;
/** Least time between two packets of a sweep by one transport. */
const SIZE_INTERVAL_MIN_US = 5 * MS;
/** Room for filling behind the fields, so that changed octets can be named. */
const SLOW_OCTETS = 160;
const MEDIUM_OCTETS = 200;
const BURST_OCTETS = 200;
const BURST_PACKETS = 100;
const FAST_OCTETS = { min: 100, max: 1200 } as const;
/** Packets a second. */
const RATES = { slow: 10, medium: 100, fast: 1000 } as const;
/** Seconds of each rate in a run of DURATION_US; longer runs stretch them. */
const SLOW_SECONDS = 2;
const MEDIUM_SECONDS = 2;
const FAST_SECONDS = 4;
/**
 * A policer may let a second's worth of its rate through at once (the byte limits of nftables do), and
 * that bucket has to be emptied, however short the run.
 */
const FAST_SECONDS_MIN = 3;
export const DURATION_US = 20 * SECOND;
const STRETCH = { min: 0.3, max: 6 } as const;
/** Of one train at the highest rate; a longer run has several, in which raw and UDP take turns. */
const FAST_PACKETS_MAX = 8000;
/** Of the allowed rate; the rest is for questions and reports. */
const SHARE = 0.9;
const BURST_GAP_US = 250 * MS;
/** Expedited forwarding (RFC 3246) as DSCP; ECT(0) (RFC 3168). */
export const MARKS = [46 << 2, 2] as const;
const MARKED_PACKETS = 10;
/** Seconds of silence after which a mapping is looked at. */
export const IDLES = [30, 60, 120, 300, 600] as const;
const IDLE_PACKETS = 3;

const DATAGRAMS = ["raw", "udp"] as const satisfies readonly Transport[];
const TCP_OCTETS = 34;

/** Octets around a body: outer headers, preamble and tag. */
export function carriageOctets(transport: Transport, family: 4 | 6): number {
  const ip = family === 4 ? 20 : 40;
  const inner = PREAMBLE_OCTETS + TAG_OCTETS;
  if (transport === "raw") return ip + inner;
  return ip + inner + (transport === "udp" ? 8 : TCP_OCTETS);
}

/** The first step: who answers? By every transport that is open. */
export function reachTrain(options: PlanOptions, transport: Transport): PlannedTrain {
  const seconds = SLOW_SECONDS * Math.min(1, stretchOf(options));
  return train({
    ...{ name: "slow", transport, direction: "echo", octets: SLOW_OCTETS },
    count: Math.max(10, Math.round(seconds * RATES.slow)),
    intervalUs: SECOND / RATES.slow,
  });
}

/**
 * After the first: down alone by transports that nothing came back by, and whether another protocol
 * number passes where raw packets are lost behind an address translation.
 */
export function secondStep(silent: readonly Transport[], otherProtocol: boolean): Step {
  const form = { octets: SLOW_OCTETS, count: 20, intervalUs: 50 * MS } as const;
  const down = silent
    .filter((transport) => transport !== "tcp")
    .map((transport) => train({ name: "slow", transport, direction: "down", ...form }));
  const other = train({ name: "otherProtocol", transport: "raw", direction: "up", ...form });
  return { title: "the way down alone", trains: otherProtocol ? [...down, other] : down };
}

/** The steps after the first. What was not reached is not measured further. */
export function stepsAfter(options: PlanOptions, reached: Reached): Step[] {
  const steps = [
    { title: "100 packets a second", trains: mediumTrains(options, reached) },
    { title: "the highest rate", trains: fastTrains(options, reached) },
    { title: "bursts", trains: burstTrains(reached) },
    { title: "sizes", trains: sizeTrains(options, reached) },
    { title: "DSCP and ECN", trains: markedTrains(reached) },
    ...(options.long ? IDLES.map((idle) => idleStep(idle, reached)) : []),
  ];
  return steps.filter(({ trains }) => trains.length > 0);
}

interface Form {
  readonly name: TrainName;
  readonly transport: Transport;
  readonly direction: Direction | "echo";
  readonly count: number;
  readonly intervalUs: number;
  readonly octets: number;
  readonly startUs?: number;
  readonly trafficClass?: number;
  readonly idleSeconds?: number;
}

function train(form: Form): PlannedTrain {
  const { startUs = 0, intervalUs } = form;
  const whole = { startUs: Math.round(startUs), intervalUs: Math.round(intervalUs) };
  return { trafficClass: 0, idleSeconds: 0, ...form, ...whole };
}

/** Directions by which packets of a transport have arrived. */
function ways(reached: Reached, transport: Transport): Direction[] {
  const ofTransport = reached.get(transport);
  return DIRECTIONS.filter((direction) => ofTransport?.[direction] === true);
}

/** One train for each transport and direction that was reached. */
function each(
  reached: Reached,
  transports: readonly Transport[],
  make: (transport: Transport, index: number) => Omit<Form, "direction">,
): PlannedTrain[] {
  const known = transports.filter((transport) => ways(reached, transport).length > 0);
  return known.flatMap((transport, index) =>
    ways(reached, transport).map((direction) => train({ ...make(transport, index), direction })),
  );
}

function mediumTrains(options: PlanOptions, reached: Reached): PlannedTrain[] {
  const fits = (SHARE * options.rate) / 8 / MEDIUM_OCTETS / Math.max(1, reached.size);
  const rate = Math.min(RATES.medium, fits);
  return each(reached, [...DATAGRAMS, "tcp"], (transport) => ({
    ...{ name: "medium", transport, octets: MEDIUM_OCTETS },
    count: Math.round(MEDIUM_SECONDS * stretchOf(options) * rate),
    intervalUs: SECOND / rate,
  }));
}

/** One transport at a time, so that each has the whole rate. */
function fastTrains(options: PlanOptions, reached: Reached): PlannedTrain[] {
  const octetsPerSecond = (SHARE * options.rate) / 8;
  const rate = Math.min(RATES.fast, octetsPerSecond / FAST_OCTETS.min);
  const octets = Math.min(FAST_OCTETS.max, Math.floor(octetsPerSecond / rate));
  const seconds = Math.max(FAST_SECONDS_MIN, FAST_SECONDS * stretchOf(options));
  const rounds = Math.ceil((seconds * rate) / FAST_PACKETS_MAX);
  const count = Math.round((seconds * rate) / rounds);
  const trainUs = (count / rate) * SECOND;
  const turns = DATAGRAMS.filter((transport) => ways(reached, transport).length > 0).length;
  return Array.from({ length: rounds }, (_, round) =>
    each(reached, DATAGRAMS, (transport, index) => ({
      ...{ name: "fast", transport, octets, count, intervalUs: SECOND / rate },
      startUs: (round * turns + index) * trainUs,
    })),
  ).flat();
}

function burstTrains(reached: Reached): PlannedTrain[] {
  return each(reached, DATAGRAMS, (transport, index) => ({
    ...{ name: "burst", transport, octets: BURST_OCTETS, count: BURST_PACKETS, intervalUs: 0 },
    startUs: index * BURST_GAP_US,
  }));
}

/** Sizes take turns, so that a moment of loss does not look like a limit. */
function sizeTrains(options: PlanOptions, reached: Reached): PlannedTrain[] {
  const whole = Math.min(options.linkMtu, SIZE_MAX);
  const sizes = [...SIZES.filter((size) => size < whole), whole];
  const octets = sizes.reduce((sum, size) => sum + size, 0);
  const share = (SHARE * options.rate) / 8 / DATAGRAMS.length;
  const roundUs = Math.max((octets / share) * SECOND, sizes.length * SIZE_INTERVAL_MIN_US);
  return sizes.flatMap((size, index) =>
    each(reached, DATAGRAMS, (transport) => ({
      name: "size",
      transport,
      octets: Math.max(size, carriageOctets(transport, options.family) + 20),
      count: PACKETS_A_SIZE,
      intervalUs: roundUs,
      startUs: (index * roundUs) / sizes.length,
    })),
  );
}

function markedTrains(reached: Reached): PlannedTrain[] {
  return MARKS.flatMap((trafficClass) =>
    each(reached, DATAGRAMS, (transport) => ({
      ...{ name: "marked", transport, octets: SLOW_OCTETS, trafficClass },
      ...{ count: MARKED_PACKETS, intervalUs: 20 * MS },
    })),
  );
}

/**
 * By raw IP the probing side always speaks first. By UDP the Remote Portal may, if TCP carries the
 * question: what it sends arrives as long as the mapping lives.
 */
function idleStep(idleSeconds: number, reached: Reached): Step {
  const startUs = idleSeconds * SECOND;
  const form = { count: IDLE_PACKETS, intervalUs: 100 * MS, octets: SLOW_OCTETS, idleSeconds };
  const both = DATAGRAMS.filter((transport) => ways(reached, transport).length === 2);
  const first = both.includes("udp") && ways(reached, "tcp").length === 2;
  const portalFirst = train({
    ...{ name: "portalFirst", transport: "udp", direction: "down", startUs, ...form },
  });
  const later = first ? startUs + SECOND : startUs;
  const trains = both.map((transport) =>
    train({ name: "afterIdle", transport, direction: "echo", startUs: later, ...form }),
  );
  return {
    title: `${idleSeconds} s of silence`,
    trains: first ? [portalFirst, ...trains] : trains,
  };
}

function stretchOf({ durationUs }: PlanOptions): number {
  return Math.min(STRETCH.max, Math.max(STRETCH.min, durationUs / DURATION_US));
}
