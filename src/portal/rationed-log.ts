/**
 * Lines of one kind that a peer can cause, so many a second at the most: each link and transport of a client may move to
 * another address once a second, of many clients at once, and an operator reads what a log says only while that is
 * little. Those untold are counted in the next line.
 */
import type { Log } from "../core/log.ts";
import type { TimeUs } from "../core/time.ts";
import { TokenBucket } from "../session/bucket.ts";

/** A client whose NAT has forgotten it moves with all its links by two transports. */
const LINES_BURST = 32;
const LINES_PER_SECOND = 1;

export class RationedLog {
  readonly #log: Pick<Log, "info">;
  readonly #lines = new TokenBucket(LINES_PER_SECOND, LINES_BURST);
  #untold = 0;

  constructor(log: Pick<Log, "info">) {
    this.#log = log;
  }

  info(nowUs: TimeUs, text: string): void {
    if (!this.#lines.take(nowUs)) {
      this.#untold += 1;
      return;
    }
    const before = this.#untold === 0 ? "" : ` (${this.#untold} like it before are not told)`;
    this.#untold = 0;
    this.#log.info(`${text}${before}`);
  }
}
