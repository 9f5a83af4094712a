/**
 * Whether a new INIT is worth a key agreement: freely while there are few, with a cookie above that.
 * Copies of an INIT that is already answered never come here.
 */
import type { Path } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import type { TimeUs } from "../core/time.ts";
import { TokenBucket } from "./bucket.ts";
import { CookieJar } from "./cookie.ts";
import type { SessionCounters } from "./effects.ts";
import {
  CLIENT_HANDSHAKES_BURST,
  CLIENT_HANDSHAKES_PER_SECOND,
  COOKIE_HANDSHAKES_BURST,
  COOKIE_HANDSHAKES_PER_SECOND,
  HANDSHAKES_BURST,
  HANDSHAKES_PER_SECOND,
  RETRIES_BURST,
  RETRIES_PER_SECOND,
} from "./limits.ts";

/** What one client may cost. */
export interface Budget {
  readonly plain: TokenBucket;
  /** For INITs with a good cookie. */
  readonly proven: TokenBucket;
}

export function createBudget(): Budget {
  return {
    plain: new TokenBucket(CLIENT_HANDSHAKES_PER_SECOND, CLIENT_HANDSHAKES_BURST),
    proven: new TokenBucket(COOKIE_HANDSHAKES_PER_SECOND, COOKIE_HANDSHAKES_BURST),
  };
}

export interface Applicant {
  readonly clientId: Uint8Array;
  readonly budget: Budget;
  readonly path: Path;
  /** From INIT; all 0: none. */
  readonly cookie: Uint8Array;
}

export class Admission {
  readonly #jar: CookieJar;
  readonly #counters: SessionCounters;
  readonly #all = new TokenBucket(HANDSHAKES_PER_SECOND, HANDSHAKES_BURST);
  readonly #retries = new TokenBucket(RETRIES_PER_SECOND, RETRIES_BURST);

  constructor(random: RandomOctets, counters: SessionCounters) {
    this.#jar = new CookieJar(random);
    this.#counters = counters;
  }

  /** @returns a cookie: send it in a RETRY and forget the INIT */
  judge(nowUs: TimeUs, applicant: Applicant): "admit" | "refuse" | Uint8Array {
    const { clientId, budget, path, cookie } = applicant;
    if (cookie.some((octet) => octet !== 0)) {
      if (this.#jar.check(nowUs, clientId, path, cookie)) return this.#judgeProven(nowUs, budget);
      this.#counters.cookieStale += 1;
    }
    if (budget.plain.has(nowUs) && this.#all.take(nowUs)) {
      budget.plain.take(nowUs);
      return "admit";
    }
    if (!this.#retries.take(nowUs)) {
      this.#counters.retryLimited += 1;
      return "refuse";
    }
    this.#counters.retrySent += 1;
    return this.#jar.make(nowUs, clientId, path);
  }

  #judgeProven(nowUs: TimeUs, budget: Budget): "admit" | "refuse" {
    if (budget.proven.take(nowUs)) return "admit";
    this.#counters.handshakeLimited += 1;
    return "refuse";
  }
}
