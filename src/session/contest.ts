/**
 * Whether two machines use one client's key. Each that begins a session ends the other's, whose owner then begins
 * anew, about once a second for ever. What tells them from one machine that starts again (from where it was) or has
 * moved (to where it has not been): a session comes from an address that the last one but one had and the last had not,
 * time after time. Machines behind one translation look alike and are not told apart.
 */
import { PATH_AT, type Path } from "../core/path.ts";
import { SECOND, type TimeUs } from "../core/time.ts";

/** Turns in a row: nobody moves there, back, and there again within minutes, and starts anew each time. */
const TURNS = 2;
/** A turn that comes later than this is another story; and so long nobody has to lose a session until it is over. */
export const QUIET_US = 60 * SECOND;

/** Of each machine, a path on which it was heard. */
export type Contenders = readonly [Path, Path];

export class Contest {
  /** Where the last session but one was. */
  #before: readonly Path[] = [];
  #turns = 0;
  #turnUs: TimeUs = Number.NEGATIVE_INFINITY;
  #contenders: Contenders | null = null;

  /**
   * A session that was at `had` has lost its seat to one that begins at `by`. The two that contend, at each turn from
   * which it is clear that there are two; else null.
   */
  replaced(nowUs: TimeUs, had: readonly Path[], by: Path): Contenders | null {
    const [other] = had;
    // Nobody knows where it was.
    if (other === undefined) return null;
    const quiet = nowUs - this.#turnUs > QUIET_US;
    const returns = isAmong(by, this.#before) && !isAmong(by, had);
    if (quiet) this.#contenders = null;
    this.#turns = returns ? (quiet ? 0 : this.#turns) + 1 : 0;
    if (returns) this.#turnUs = nowUs;
    this.#before = had;
    if (this.#turns < TURNS) return null;
    this.#contenders = [other, by.slice()];
    return this.#contenders;
  }

  /** Those who contend now. */
  at(nowUs: TimeUs): Contenders | null {
    return nowUs - this.#turnUs > QUIET_US ? null : this.#contenders;
  }
}

/** By address alone: ports and transports change from one session to the next. */
function isAmong(path: Path, others: readonly Path[]): boolean {
  return others.some((other) => sameHost(path, other));
}

function sameHost(a: Path, b: Path): boolean {
  if (a[PATH_AT.family] !== b[PATH_AT.family]) return false;
  for (let at: number = PATH_AT.scope; at < PATH_AT.local; at += 1)
    if (a[at] !== b[at]) return false;
  return true;
}
