/**
 * When a HELLO is due that nobody asked for: it keeps a NAT's mapping, tells the peer what was seen, and shows that
 * the transports that do not carry DATA are still there.
 */
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { RAW_HEARD_WITHIN_US, type Rung } from "./rung.ts";

const IDLE_US = 15 * SECOND;
const ACTIVE_US = 5 * SECOND;
/** DATA was acknowledged or lost within this: the link is active. */
const ACTIVE_WITHIN_US = 5 * SECOND;
/** An idle interval is shorter by up to this part at random, so that links and portals do not march in step. */
const JITTER = 0.25;
/** Remote asks to be spoken to by raw before it has to fall silent there. */
const WANING_AFTER_US = RAW_HEARD_WITHIN_US - 10 * SECOND;
const WANING_INTERVAL_US = 4 * SECOND;

export class Canary {
  readonly rung: Rung;
  readonly #random: () => number;
  #idleUs = IDLE_US;

  /** @param random - uniform in [0, 1) */
  constructor(rung: Rung, random: () => number) {
    this.rung = rung;
    this.#random = random;
  }

  /** A HELLO left by the transport, whatever for. */
  sent(): void {
    this.#idleUs = IDLE_US * (1 - JITTER * this.#random());
  }

  /** It should ask: the path is new, or Remote has not heard the peer by raw for long. */
  asks(nowUs: TimeUs): boolean {
    return this.rung.sent.lastUs === -NEVER || nowUs >= this.#waningUs();
  }

  /** @param dataUs - when DATA was acknowledged or lost last */
  dueUs(nowUs: TimeUs, dataUs: TimeUs): TimeUs {
    if (!this.rung.maySend(nowUs)) return NEVER;
    const { lastUs } = this.rung.sent;
    if (lastUs === -NEVER) return nowUs;
    const active = nowUs - dataUs < ACTIVE_WITHIN_US;
    const waningUs = Math.max(this.#waningUs(), lastUs + WANING_INTERVAL_US);
    return Math.min(lastUs + (active ? ACTIVE_US : this.#idleUs), waningUs);
  }

  #waningUs(): TimeUs {
    if (this.rung.silentFromUs === NEVER) return NEVER;
    return this.rung.hearing.lastUs + WANING_AFTER_US;
  }
}
