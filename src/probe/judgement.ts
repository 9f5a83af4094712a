/**
 * What a transport is worth in one direction: one word, the figures it rests on, and where packets
 * died. Judged beside what the other transports of the same link did in the same minute.
 */
import type { Transport } from "../core/transport.ts";
import type {
  IcmpAnswer,
  LinkMeasurement,
  TrainResult,
  TransportMeasurement,
  UnsentReason,
} from "./measurement.ts";
import type { Direction, TrainName } from "./plan.ts";
import { type Interval, wilson } from "./statistics.ts";

export const WORDS = [
  "ok",
  /** Loses more than LOSSY at any rate. */
  "lossy",
  /** Loses at the highest rate what it does not lose at lower ones. */
  "policed",
  /** Nothing arrives. */
  "blocked",
  /** Arrives changed. */
  "mangled",
  /** Carries less than the link's MTU. */
  "size-limited",
  /** Another host behind the same address translation has the protocol number. */
  "nat-conflict",
  /** Nothing could be tried: no session, or no path to send back by. */
  "unreachable",
] as const;
export type Word = (typeof WORDS)[number];

/** Share of packets. */
const LOSSY = 0.01;
/** Further loss at the highest rate that is no chance. */
const POLICED = 0.05;
/** The other transport loses so much less. */
const POLICED_BESIDE = 0.02;
/** A queue that grows by so much is a slow link, not a policer. */
const QUEUE_US = 20_000;
/** Fewer changed messages may be a bad cable's. */
const MANGLED_MIN = 3;

export interface Loss {
  readonly sent: number;
  readonly lost: number;
  /** 0..1. */
  readonly share: number;
  readonly interval: Interval;
}

export interface Judgement {
  readonly transport: Transport;
  readonly direction: Direction;
  readonly word: Word;
  /** How it was blocked. */
  readonly icmp: IcmpAnswer | null;
  /** Which side packets died on; null: they did not, or nobody knows. */
  readonly diedAt: "here" | "on the way" | "there" | null;
  /** Why they did not leave, or the errno name of a connection that failed. */
  readonly because: UnsentReason | string | null;
  /** At 10 and 100 packets a second, and at the highest rate where that loses no more. */
  readonly loss: Loss;
  readonly fastLoss: Loss;
  readonly burstLoss: Loss;
  /** Largest size that arrived, and largest that was tried; null: no sweep. */
  readonly sizeMax: number | null;
  readonly sizeTried: number | null;
  readonly positions: readonly number[];
}

export function judge(
  link: LinkMeasurement,
  measured: TransportMeasurement,
  direction: Direction,
): Judgement {
  const { trains, mangled } = measured.directions[direction];
  const word = wordFor(link, measured, direction);
  const received = sum(trains, (train) => train.received);
  const sizes = trains.filter(({ name, received: came }) => name === "size" && came > 0);
  const tried = trains.filter(({ name }) => name === "size");
  const here = placeOfDeath(trains, direction) === "here";
  return {
    ...{ transport: measured.transport, direction, word },
    icmp: word === "blocked" && direction === "up" ? refusal(measured.icmp) : null,
    diedAt: received > 0 || word === "unreachable" ? null : placeOfDeath(trains, direction),
    because: measured.failure ?? (here ? mainReason(trains) : null),
    loss: steadyLoss(trains),
    fastLoss: lossOf(trains, ["fast"]),
    burstLoss: lossOf(trains, ["burst"]),
    sizeMax: largest(sizes),
    sizeTried: largest(tried),
    positions: mangled.positions,
  };
}

function wordFor(
  link: LinkMeasurement,
  measured: TransportMeasurement,
  direction: Direction,
): Word {
  const { trains, mangled } = measured.directions[direction];
  const received = sum(trains, (train) => train.received);
  if (!link.connected) return "unreachable";
  if (received === 0) return wordForNothing(link, measured, direction);
  if (mangled.count >= MANGLED_MIN) return "mangled";
  if (isPoliced(link, measured, direction)) return "policed";
  const tried = largest(trains.filter(({ name }) => name === "size")) ?? 0;
  const arrived = largest(trains.filter(({ name, received: came }) => name === "size" && came > 0));
  if (tried > (arrived ?? 0)) return "size-limited";
  return steadyLoss(trains).interval.low > LOSSY ? "lossy" : "ok";
}

function wordForNothing(
  link: LinkMeasurement,
  { transport, failure, directions, icmp }: TransportMeasurement,
  direction: Direction,
): Word {
  const { trains, mangled } = directions[direction];
  if (mangled.count > 0) return "mangled";
  if (failure !== null) return "blocked";
  const silent = transport === "raw" && direction === "up" && refusal(icmp) === null;
  if (silent && link.otherProtocolPassed === true) return "nat-conflict";
  const tried = (train: TrainResult) => train.sent > 0 || isKeptThere(train);
  const sent = trains.some(direction === "up" ? ({ planned }) => planned > 0 : tried);
  return sent ? "blocked" : "unreachable";
}

/** Of packets of which none arrived. */
function placeOfDeath(trains: readonly TrainResult[], direction: Direction): Judgement["diedAt"] {
  if (direction === "down") return trains.some(isKeptThere) ? "there" : "on the way";
  return trains.length > 0 && sum(trains, (train) => train.sent) === 0 ? "here" : "on the way";
}

/** The portal was to send it, and its machine did not let it. */
function isKeptThere({ known, planned, sent, refused }: TrainResult): boolean {
  return known && planned > 0 && sent === 0 && refused === null;
}

function isPoliced(
  link: LinkMeasurement,
  { transport, directions }: TransportMeasurement,
  direction: Direction,
): boolean {
  const { trains } = directions[direction];
  if (!losesMoreFast(trains)) return false;
  const fast = lossOf(trains, ["fast"]);
  const other = link.transports.find(
    (one) => one.transport !== transport && one.transport !== "tcp",
  );
  const beside = lossOf(other?.directions[direction].trains ?? [], ["fast"]);
  const alone = beside.sent > 0 && fast.interval.low - beside.interval.high > POLICED_BESIDE;
  const growths = trains.flatMap((train) =>
    train.name === "fast" ? (train.delayGrowthUs ?? []) : [],
  );
  return alone || !growths.some((growthUs) => growthUs > QUEUE_US);
}

/** A link slower than the highest rate is no lossy one. */
function steadyLoss(trains: readonly TrainResult[]): Loss {
  const names: TrainName[] = ["slow", "medium"];
  return lossOf(trains, losesMoreFast(trains) ? names : [...names, "fast"]);
}

function losesMoreFast(trains: readonly TrainResult[]): boolean {
  const slow = lossOf(trains, ["slow", "medium"]);
  const fast = lossOf(trains, ["fast"]);
  const apart = fast.interval.low > slow.interval.high;
  return fast.sent > 0 && apart && fast.share - slow.share >= POLICED;
}

/** Packets that left and whose fate is known. */
export function lossOf(trains: readonly TrainResult[], names: readonly TrainName[]): Loss {
  const known = trains.filter(({ name, known: told }) => told && names.includes(name));
  const sent = sum(known, (train) => train.sent);
  const lost = sum(known, (train) => Math.max(0, train.sent - train.received));
  return { sent, lost, share: sent === 0 ? 0 : lost / sent, interval: wilson(lost, sent) };
}

/** The answer that says that packets are not wanted, the most frequent one first. */
function refusal(icmp: readonly IcmpAnswer[]): IcmpAnswer | null {
  const hard = icmp.filter(isRefusal).sort((a, b) => b.count - a.count);
  return hard[0] ?? null;
}

/** Destination unreachable but for "too big" (RFC 792, RFC 4443); v6: also unknown next header. */
function isRefusal({ type, code, from }: IcmpAnswer): boolean {
  if (from.includes(":")) return type === 1 || (type === 4 && code === 1);
  return type === 3 && code !== 4;
}

function mainReason(trains: readonly TrainResult[]): UnsentReason | null {
  const counts = new Map<UnsentReason, number>();
  for (const { unsent } of trains) {
    for (const [reason, count] of Object.entries(unsent) as [UnsentReason, number][]) {
      counts.set(reason, (counts.get(reason) ?? 0) + count);
    }
  }
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? null;
}

function largest(trains: readonly TrainResult[]): number | null {
  return trains.length === 0 ? null : Math.max(...trains.map(({ octets }) => octets));
}

function sum(trains: readonly TrainResult[], of: (train: TrainResult) => number): number {
  return trains.reduce((total, train) => total + of(train), 0);
}
