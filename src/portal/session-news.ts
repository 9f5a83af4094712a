/**
 * What a Remote Portal's log says of its clients' sessions, and of the links that come and go with them. Whoever has a
 * client's key may begin sessions twice a second, so lines are rationed, each client's and those of all together; a
 * client's first session is always told, and untold lines are counted in the client's next one of the kind.
 */
import type { Log } from "../core/log.ts";
import { hostText } from "../core/path.ts";
import { SECOND, type TimeUs } from "../core/time.ts";
import { TokenBucket } from "../session/bucket.ts";
import type { Contenders } from "../session/contest.ts";
import { type Level, RationedLog } from "./rationed-log.ts";

/** A client that begins anew a few times in a row is told of whole: two lines each time. */
const CLIENT_LINES = { burst: 12, perSecond: 1 / 30 };
/** All clients together: thirty-two that begin anew at once. */
const LINES_BURST = 64;
const LINES_PER_SECOND = 1;
/** Sixteen links that are attached and lost, twice each: three lines, with the transport. And links that fail now and then. */
const CLIENT_LINK_LINES = { burst: 96, perSecond: 1 / 5 };
/** All clients together: five hundred links that are attached at once, each with its transport. */
const LINK_LINES_BURST = 1_024;
const LINK_LINES_PER_SECOND = 2;
/** Two machines with one key: said again as long as it lasts, so often. */
const CONTEST_AGAIN_US = 3_600 * SECOND;

export class SessionNews {
  readonly #log: Pick<Log, "info" | "warn">;
  readonly #names: readonly string[];
  readonly #lines: readonly RationedLog[];
  readonly #links: readonly RationedLog[];
  readonly #told: Uint8Array;
  readonly #contestUs: Float64Array;

  /** @param names - of the clients, by number */
  constructor(log: Pick<Log, "info" | "warn">, names: readonly string[]) {
    const shared = new TokenBucket(LINES_PER_SECOND, LINES_BURST);
    this.#log = log;
    this.#names = names;
    this.#lines = names.map(() => new RationedLog(log, { ...CLIENT_LINES, shared }));
    const ofLinks = new TokenBucket(LINK_LINES_PER_SECOND, LINK_LINES_BURST);
    const linkLines = { ...CLIENT_LINK_LINES, shared: ofLinks };
    this.#links = names.map(() => new RationedLog(log, linkLines));
    this.#told = new Uint8Array(names.length);
    this.#contestUs = new Float64Array(names.length).fill(Number.NEGATIVE_INFINITY);
  }

  established(nowUs: TimeUs, client: number): void {
    const first = this.#told[client] === 0;
    this.#told[client] = 1;
    const text = `${this.#names[client]}: session established`;
    if (first) this.#log.info(text);
    else this.note(nowUs, client, "session established");
  }

  note(nowUs: TimeUs, client: number, text: string): void {
    this.#lines[client]?.info(nowUs, `${this.#names[client]}: ${text}`);
  }

  /** What became of a link; `text` names it. */
  link(nowUs: TimeUs, client: number, level: Level, text: string): void {
    this.#links[client]?.tell(nowUs, level, `${this.#names[client]}: ${text}`);
  }

  /** Two machines take the client's seat from each other. */
  contested(nowUs: TimeUs, client: number, contenders: Contenders): void {
    if (nowUs - (this.#contestUs[client] ?? 0) < CONTEST_AGAIN_US) return;
    this.#contestUs[client] = nowUs;
    const [one, other] = contenders.map(hostText);
    this.#log.warn(
      `${this.#names[client]}: used from ${one} and ${other} in turn, each ends the other's session: ` +
        "probably two machines have the same key; stop one, or give it a client of its own (mpfwd init --add-to)",
    );
  }
}
