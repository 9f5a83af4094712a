/** When the Local Portal keeps a TCP connection: it is the last resort, and costs the Remote Portal a socket. */
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";

/** The others have had this long to attach the link. */
const ATTACH_WITHIN_US = SECOND;
/** Kept this long after it was needed last. */
const HELD_US = 30 * SECOND;

export class TcpNeed {
  wanted: boolean;
  readonly #always: boolean;
  readonly #possible: boolean;
  /** When the first socket was opened. */
  #begunUs: TimeUs = NEVER;
  #untilUs: TimeUs = -NEVER;

  /** @param always - nothing else is allowed */
  constructor(possible: boolean, always: boolean) {
    this.#possible = possible;
    this.#always = always;
    this.wanted = possible && always;
  }

  /** A socket is open: the race to attach the link has begun. */
  begin(nowUs: TimeUs): void {
    this.#begunUs = Math.min(this.#begunUs, nowUs);
  }

  /** A connection stands: whoever opened it had a reason, which this has to find out first. */
  hold(nowUs: TimeUs): void {
    if (!this.#possible || this.#always) return;
    this.#untilUs = nowUs + HELD_US;
    this.wanted = true;
  }

  /** @param needed - something is carried by it, or nothing better answers */
  update(nowUs: TimeUs, attached: boolean, needed: boolean): void {
    if (!this.#possible || this.#always) return;
    const late = !attached && nowUs >= this.#begunUs + ATTACH_WITHIN_US;
    if (late || needed) this.#untilUs = nowUs + HELD_US;
    this.wanted = nowUs < this.#untilUs;
  }

  /** When `wanted` may change by itself. */
  deadlineUs(attached: boolean): TimeUs {
    if (!this.#possible || this.#always) return NEVER;
    if (this.wanted) return this.#untilUs;
    return attached ? NEVER : this.#begunUs + ATTACH_WITHIN_US;
  }
}
