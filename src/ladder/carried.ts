/** Which transport carries DATA, since when and why; the switches that nobody has been told of yet. */
import type { TimeUs } from "../core/time.ts";
import { Damping } from "./damping.ts";
import type { Rung } from "./rung.ts";
import type { SwitchCause, TransportSwitch } from "./status.ts";

/** Switches not taken yet; the oldest gives way. */
const SWITCHES_KEPT = 16;
/** Switches for these reasons say that verdicts flap; the others are somebody else's doing. */
const DAMPED: readonly SwitchCause[] = [
  ...(["trial passed", "silent", "loss", "policed", "large packets lost", "mangled"] as const),
];

export class Carried {
  /** Null: nothing carries DATA. */
  by: Rung | null = null;
  sinceUs: TimeUs | null = null;
  lastCause: SwitchCause | null = null;
  /** The first attachment is none. */
  switchCount = 0;
  readonly damping = new Damping();
  readonly #switches: TransportSwitch[] = [];

  /** `rung` carries DATA from now on. */
  change(nowUs: TimeUs, rung: Rung, cause: SwitchCause): void {
    this.#switches.push({ from: this.by?.transport ?? null, to: rung.transport, cause });
    if (this.#switches.length > SWITCHES_KEPT) this.#switches.shift();
    if (cause !== "attached") this.switchCount += 1;
    if (DAMPED.includes(cause)) this.damping.record(nowUs);
    this.by = rung;
    this.sinceUs = nowUs;
    this.lastCause = cause;
  }

  /** Nothing carries DATA from now on. */
  drop(nowUs: TimeUs): void {
    this.by = null;
    this.sinceUs = nowUs;
  }

  /** The oldest switch not told yet. */
  takeSwitch(): TransportSwitch | null {
    return this.#switches.shift() ?? null;
  }
}
