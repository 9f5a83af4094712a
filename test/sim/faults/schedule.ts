/**
 * Random schedules: unlike links, faults at random moments, and a time at the end in which all is well.
 * A seed is all that a schedule depends on; leaving faults out leaves the rest as it was.
 */
import { SeededRandom } from "../../../src/core/random.ts";
import {
  FAULT_KINDS,
  type Fault,
  type FaultKind,
  faultText,
  type Side,
  type Way,
} from "./fault.ts";

export interface LinkShape {
  readonly upMbit: number;
  readonly downMbit: number;
  /** One way. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** At full rate. */
  readonly queueMs: number;
}

export interface Schedule {
  readonly seed: number;
  readonly links: readonly LinkShape[];
  readonly faults: readonly Fault[];
  /** From here on all is well. */
  readonly healMs: number;
  /** Traffic ends. */
  readonly endMs: number;
}

/** How long schedules are and how fast their links: what a test run has time for, and what a command has. */
export interface Scale {
  readonly chaosMs: readonly [least: number, most: number];
  readonly healingMs: number;
  readonly rateMbit: readonly [least: number, most: number];
  readonly faultsMax: number;
}

export const SCALES: { readonly [name in "brief" | "full"]: Scale } = {
  brief: { chaosMs: [4_000, 9_000], healingMs: 7_000, rateMbit: [0.8, 4], faultsMax: 8 },
  full: { chaosMs: [10_000, 30_000], healingMs: 10_000, rateMbit: [1, 30], faultsMax: 12 },
};

/** Nothing happens before: links find out what they are. */
const CALM_MS = 1_000;
/** Portals die or sleep this often at the most: behind each lie seconds in which nothing else shows. */
const PORTAL_FAULTS_MAX = 2;
const PORTAL_FAULTS: readonly FaultKind[] = ["restart", "suspend", "clock"];

export function randomSchedule(seed: number, scale: Scale): Schedule {
  const dice = new Dice(new SeededRandom(Math.imul(seed, 0x9e37_79b1) ^ 0x5eed));
  const links = Array.from({ length: dice.whole(2, 4) }, () => randomLink(dice, scale));
  const healMs = CALM_MS + dice.whole(...scale.chaosMs);
  const faults: Fault[] = [];
  let atPortals = 0;
  for (let count = dice.whole(1, scale.faultsMax); count > 0; count -= 1) {
    const kind = dice.one(FAULT_KINDS);
    if (PORTAL_FAULTS.includes(kind)) {
      atPortals += 1;
      if (atPortals > PORTAL_FAULTS_MAX) continue;
    }
    faults.push(randomFault(dice, kind, links.length, healMs));
  }
  faults.sort((one, other) => one.fromMs - other.fromMs);
  return { seed, links, faults: withoutOverlap(faults), healMs, endMs: healMs + scale.healingMs };
}

/** A fault of this kind somewhere between the calm and the healing. */
export function randomFault(dice: Dice, kind: FaultKind, links: number, healMs: number): Fault {
  const span = (least: number, most: number) => {
    const lastsMs = Math.min(dice.spread(least, most), healMs - CALM_MS);
    const fromMs = dice.whole(CALM_MS, healMs - lastsMs);
    return { fromMs, toMs: fromMs + lastsMs };
  };
  const moment = () => {
    const { fromMs } = span(1, 1);
    return { fromMs, toMs: fromMs };
  };
  const link = dice.whole(0, links - 1);
  const way = dice.one<Way>(["up", "down", "both"]);
  const portal = dice.one<Side>(["a", "b"]);
  switch (kind) {
    case "cut":
      return { kind, link, way, ...span(50, 8_000) };
    case "loss":
      return { kind, link, way, share: dice.whole(1, 6) / 10, ...span(500, 8_000) };
    case "flap":
      return { kind, link, way, periodMs: dice.spread(100, 5_000), ...span(1_000, 8_000) };
    case "handover":
      return { kind, link, delayMs: dice.spread(2, 80), ...span(100, 300) };
    case "rate":
      return { kind, link, way, factor: dice.one([0.1, 0.3, 0.5, 2, 4]), ...span(500, 8_000) };
    case "mtu":
      return { kind, link, way, octets: dice.one([400, 576, 1280, 1400]), ...span(500, 8_000) };
    case "copies":
    case "late":
      return {
        ...{ kind, link, way, share: dice.one([0.02, 0.2, 1]) },
        ...{ laterMs: dice.spread(1, 300), ...span(500, 8_000) },
      };
    case "carrier":
      return { kind, link, portal, toldMs: dice.spread(5, 200), ...span(50, 8_000) };
    case "clog":
      return { kind, link, portal, ...span(5, 2_000) };
    case "rebind":
      return { kind, link, ...moment() };
    case "roam":
      return { kind, link, ...span(50, 5_000) };
    case "rekey":
      return { kind, ...moment() };
    case "restart":
      return { kind, portal, remembers: dice.one([true, true, false]), ...span(200, 2_000) };
    case "suspend":
      return { kind, portal, buffered: dice.one([0, 200, 2_048]), ...span(50, 10_000) };
    case "clock":
      return { kind, portal, byMs: dice.spread(50, 3_600_000), ...moment() };
  }
}

/** A portal that sleeps is not killed, and a dead one does not go to sleep. */
function withoutOverlap(faults: readonly Fault[]): Fault[] {
  const until = { a: 0, b: 0 };
  return faults.filter((fault) => {
    if (fault.kind !== "restart" && fault.kind !== "suspend") return true;
    if (fault.fromMs < until[fault.portal]) return false;
    until[fault.portal] = fault.toMs + 1;
    return true;
  });
}

function randomLink(dice: Dice, { rateMbit: [least, most] }: Scale): LinkShape {
  const rate = () => Math.round(10 * dice.real(least, most)) / 10;
  return {
    upMbit: rate(),
    downMbit: rate(),
    delayMs: dice.spread(2, 60),
    jitterMs: dice.one([0, 0, 0, 2, 8]),
    queueMs: dice.spread(40, 400),
  };
}

/** The schedule in words, a line each. */
export function scheduleLines(schedule: Schedule): string[] {
  const { seed, links, faults, healMs, endMs } = schedule;
  return [
    `seed ${seed}, all well from ${healMs} ms on, ends at ${endMs} ms`,
    ...links.map(
      (link, index) =>
        `link ${index}: ${link.upMbit}/${link.downMbit} Mbit/s, ${link.delayMs} ms one way, ` +
        `jitter ${link.jitterMs} ms, buffer ${link.queueMs} ms`,
    ),
    ...faults.map(faultText),
  ];
}

/** Draws. */
export class Dice {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Uniform over whole numbers, both ends included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.#random.next() * (most - least + 1));
  }

  /** Uniform over the logarithm, a whole number. */
  spread(least: number, most: number): number {
    return Math.round(this.real(least, most));
  }

  /** Uniform over the logarithm. */
  real(least: number, most: number): number {
    return least * (most / least) ** this.#random.next();
  }

  one<T>(values: readonly T[]): T {
    return values[this.whole(0, values.length - 1)] as T;
  }
}
