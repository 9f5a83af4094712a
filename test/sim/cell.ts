/**
 * A cell of the matrix: one situation, what is measured in it, and what is wanted. The same seed gives
 * the same values.
 */
import { SECOND, type TimeUs } from "../../src/core/time.ts";
import { controllerNamed } from "./controllers.ts";
import type { ControllerFactory, WorldSpec } from "./specs.ts";
import { World } from "./world.ts";

/** Wanted of one value; without bounds it is only reported. */
export interface Check {
  readonly metric: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export type Values = Readonly<Record<string, number>>;

export interface Cell {
  /** Words joined by hyphens; unique. */
  readonly name: string;
  /** The row of the target table to which it belongs. */
  readonly row: string;
  readonly checks: readonly Check[];
  measure(stage: Stage): Values;
}

/**
 * What several cells measure alike, so that it is run once: by controller, seed and the measurement's own
 * name. Bounded by the matrix itself.
 */
const MEASURED = new Map<string, number>();

/** Where a cell plays: makes its worlds with the run's seed and controller. */
export class Stage {
  readonly seed: number;
  /** The first world made, the one to draw. */
  first: World | undefined;
  /** Mixed from the hashes of all worlds that were made. */
  readonly #worlds: World[] = [];
  readonly #controllerName: string;
  readonly #controller: ControllerFactory | undefined;
  readonly #record: boolean;

  /** @param options - `controller` by its name; the product's default without it */
  constructor(options: { seed: number; controller?: string | undefined; record?: boolean }) {
    this.seed = options.seed;
    this.#controllerName = options.controller ?? "";
    this.#controller = controllerNamed(this.#controllerName);
    this.#record = options.record ?? false;
  }

  /** The value of a measurement that depends on nothing but controller, seed and `name`. */
  once(name: string, measure: () => number): number {
    const key = `${this.#controllerName}/${this.seed}/${name}`;
    const value = MEASURED.get(key) ?? measure();
    MEASURED.set(key, value);
    return value;
  }

  world(spec: Omit<WorldSpec, "seed">): World {
    const controller = spec.controller ?? this.#controller;
    const chosen = controller === undefined ? {} : { controller };
    const world = new World({ ...spec, ...chosen, seed: this.seed });
    if (this.#record && this.first === undefined) world.record();
    this.first ??= world;
    this.#worlds.push(world);
    return world;
  }

  get hash(): string {
    return this.#worlds.map(({ hash }) => hash).join("-");
  }
}

/** Runs to `fromS`, marks, and runs on to `toS`: what is measured then is the time between. */
export function runMarked(world: World, fromS: number, toS: number): void {
  world.run(fromS * SECOND);
  world.mark();
  world.run(toS * SECOND);
}

export function seconds(us: TimeUs): number {
  return us / SECOND;
}
