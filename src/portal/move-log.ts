/**
 * Tells that links have moved to other addresses, so many lines a second at the most: each link and transport may
 * move every second, of many clients at once, and an operator reads what a log says only while that is little.
 * Those untold are counted in the next line; `mpfwd status` counts all (`roamOk`).
 */
import type { Log } from "../core/log.ts";
import type { TimeUs } from "../core/time.ts";
import { TokenBucket } from "../session/bucket.ts";

/** A client whose NAT has forgotten it moves with all its links by all transports. */
const LINES_BURST = 32;
const LINES_PER_SECOND = 1;

export class MoveLog {
  readonly #log: Pick<Log, "info">;
  readonly #lines = new TokenBucket(LINES_PER_SECOND, LINES_BURST);
  #untold = 0;

  constructor(log: Pick<Log, "info">) {
    this.#log = log;
  }

  /** `text`: what has moved, and where to. */
  note(nowUs: TimeUs, text: string): void {
    if (!this.#lines.take(nowUs)) {
      this.#untold += 1;
      return;
    }
    const before = this.#untold === 0 ? "" : ` (${this.#untold} moves before it are not told)`;
    this.#untold = 0;
    this.#log.info(`${text}${before}`);
  }
}
