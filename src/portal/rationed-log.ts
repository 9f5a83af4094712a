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

export type Level = "info" | "warn";

export interface Ration {
  readonly burst: number;
  readonly perSecond: number;
  /** Of several such logs together. */
  readonly shared?: TokenBucket;
}

export class RationedLog {
  readonly #log: Pick<Log, Level>;
  readonly #lines: TokenBucket;
  readonly #shared: TokenBucket | undefined;
  #untold = 0;

  constructor(
    log: Pick<Log, Level>,
    ration: Ration = { burst: LINES_BURST, perSecond: LINES_PER_SECOND },
  ) {
    this.#log = log;
    this.#lines = new TokenBucket(ration.perSecond, ration.burst);
    this.#shared = ration.shared;
  }

  info(nowUs: TimeUs, text: string): void {
    this.tell(nowUs, "info", text);
  }

  tell(nowUs: TimeUs, level: Level, text: string): void {
    if (!this.#mayTell(nowUs)) {
      this.#untold += 1;
      return;
    }
    const before = this.#untold === 0 ? "" : ` (${this.#untold} like it before are not told)`;
    this.#untold = 0;
    this.#log[level](`${text}${before}`);
  }

  /** What its own ration refuses costs the others nothing. */
  #mayTell(nowUs: TimeUs): boolean {
    if (!this.#lines.has(nowUs) || this.#shared?.take(nowUs) === false) return false;
    return this.#lines.take(nowUs);
  }
}
