/**
 * Where one link's client receives: its home, the path that has answered last, and the paths that
 * are being asked. Each transport is asked on its own, because an ATTACH comes by all of them at
 * about the same time and some may pass in one direction only.
 *
 *   no home yet             the first path that answers its CHALLENGE becomes the home
 *   ATTACH from the home    challenged again
 *   ATTACH from elsewhere   checked against the home, as any packet from a new address would be:
 *                           the home moves only if it answers no more (`address-check.ts`)
 *
 * Other transports have a path of their own each, which the caller knows. What comes by one of them
 * from elsewhere is checked against that path, and moves nothing but that transport.
 *
 * Whoever passes packets on faster than the network could otherwise take the link over.
 */
import { PATH_AT, type Path, samePath } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { ATTACH_OCTETS, NONCE_OCTETS } from "../wire/attach.ts";
import { TAG_OCTETS } from "../wire/message.ts";
import { AddressCheck } from "./address-check.ts";
import type { SessionCounters } from "./effects.ts";
import { LATE_ATTACH_US, ROAM_COOLDOWN_US, ROAM_TIMEOUT_US } from "./limits.ts";

const NO_ECHO = new Uint8Array(NONCE_OCTETS);

/** The newest ATTACH by one transport, and the nonce that its CHALLENGE carried. */
interface Asked {
  readonly path: Path;
  readonly echo: Uint8Array;
  readonly nonce: Uint8Array;
}

export interface LinkHomeOptions {
  readonly random: RandomOctets;
  readonly counters: SessionCounters;
  /** Sends a CHALLENGE to `path`. */
  readonly challenge: (path: Path, echo: Uint8Array, nonce: Uint8Array) => void;
  /** The link has a home, or another one, or the same has answered again: the client may be told. */
  readonly settled: (before: Path | null, home: Path) => void;
  /** The client receives at `path` by this transport, and no longer at `before`; the home stays. */
  readonly rerouted: (before: Path, path: Path) => void;
}

/** What is checked: a new home, or only where one transport's messages go. */
type Moves = "home" | "transport";

export class LinkHome {
  readonly #options: LinkHomeOptions;
  #path: Path | null = null;
  /** By transport. None but the home's once there is one. */
  readonly #asked = new Map<number, Asked>();
  /** By the new path's transport and what it moves. */
  readonly #checks = new Map<string, AddressCheck>();
  /** The same: no check begins before. */
  readonly #checkAfterUs = new Map<string, TimeUs>();
  /** The same: no check gives way to another before. */
  readonly #replaceAfterUs = new Map<string, TimeUs>();
  /** The ATTACH that the home answered last. */
  #answered: { readonly echo: Uint8Array; readonly atUs: TimeUs } | null = null;

  constructor(options: LinkHomeOptions) {
    this.#options = options;
  }

  /** The path that has answered last; null before the first RESPONSE. */
  get path(): Path | null {
    return this.#path;
  }

  attach(nowUs: TimeUs, echo: Uint8Array, path: Path): void {
    const home = this.#path;
    if (home === null || samePath(home, path)) this.#ask(echo, path);
    else if (this.#isLate(nowUs, echo, path)) this.#options.counters.answeredAlready += 1;
    else this.#check(nowUs, "home", home, path, ATTACH_OCTETS + TAG_OCTETS);
  }

  /** A RESPONSE proves that the client receives at `path`; false when it answers nothing of ours. */
  response(nowUs: TimeUs, echo: Uint8Array, path: Path): boolean {
    const asked = this.#asked.get(transportAt(path));
    if (asked !== undefined && sameOctets(echo, asked.nonce) && samePath(path, asked.path)) {
      this.#answered = { echo: asked.echo, atUs: nowUs };
      this.#asked.clear();
      // Asked again with the same nonce, a late RESPONSE is still good.
      this.#asked.set(transportAt(path), asked);
      this.#settle(asked.path);
      return true;
    }
    let answers = false;
    for (const [key, check] of this.#checks) {
      if (check.response(nowUs, echo, path)) answers = true;
      this.#challengeBoth(nowUs, check);
      this.#judge(nowUs, key, check);
    }
    return answers;
  }

  /**
   * Authenticated octets came from `path`, which is not where messages of its transport go.
   *
   * @param settled - where those go, proven; null: nowhere, and only the home's transport has a say
   */
  sourceDiffers(nowUs: TimeUs, path: Path, octets: number, settled: Path | null): void {
    const home = this.#path;
    if (home === null || samePath(home, path)) return;
    if (transportAt(home) === transportAt(path)) this.#check(nowUs, "home", home, path, octets);
    else if (settled !== null) this.#check(nowUs, "transport", settled, path, octets);
  }

  timeout(nowUs: TimeUs): void {
    for (const [key, check] of this.#checks) {
      this.#challengeBoth(nowUs, check);
      this.#judge(nowUs, key, check);
    }
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    let deadlineUs = NEVER;
    for (const check of this.#checks.values()) {
      deadlineUs = Math.min(deadlineUs, check.deadlineUs(nowUs));
    }
    return deadlineUs;
  }

  #ask(echo: Uint8Array, path: Path): void {
    const before = this.#asked.get(transportAt(path));
    const same =
      before !== undefined && samePath(before.path, path) && sameOctets(before.echo, echo);
    const nonce = same ? before.nonce : this.#options.random(NONCE_OCTETS);
    this.#asked.set(transportAt(path), { path: path.slice(), echo, nonce });
    this.#options.challenge(path, echo, nonce);
  }

  /** A slower transport brings what a faster one has settled. Later it says that the home is silent. */
  #isLate(nowUs: TimeUs, echo: Uint8Array, path: Path): boolean {
    const answered = this.#answered;
    if (answered === null || nowUs >= answered.atUs + LATE_ATTACH_US) return false;
    if (this.#path !== null && transportAt(this.#path) === transportAt(path)) return false;
    return sameOctets(echo, answered.echo);
  }

  #check(nowUs: TimeUs, moves: Moves, oldPath: Path, path: Path, octets: number): void {
    const key = `${moves} ${transportAt(path)}`;
    let check = this.#checks.get(key);
    const other = check !== undefined && !samePath(check.options.path, path);
    if (other && !this.#givesWay(nowUs, key, check)) return;
    if (check === undefined || other) {
      if (check === undefined && nowUs < (this.#checkAfterUs.get(key) ?? 0)) return;
      const { random } = this.#options;
      check = new AddressCheck(nowUs, {
        path: path.slice(),
        nonce: random(NONCE_OCTETS),
        oldPath: oldPath.slice(),
        oldNonce: random(NONCE_OCTETS),
      });
      this.#checks.set(key, check);
    }
    check.received(nowUs, octets);
    this.#challengeBoth(nowUs, check);
  }

  /** A translation that changes twice leaves a check of an address that nobody has any more. */
  #givesWay(nowUs: TimeUs, key: string, check: AddressCheck | undefined): boolean {
    if (check?.silent(nowUs) !== true || nowUs < (this.#replaceAfterUs.get(key) ?? 0)) return false;
    this.#replaceAfterUs.set(key, nowUs + ROAM_TIMEOUT_US);
    return true;
  }

  #challengeBoth(nowUs: TimeUs, check: AddressCheck): void {
    const { path, nonce, oldPath, oldNonce } = check.options;
    const both = check.takeChallenge(nowUs);
    if (both) this.#options.challenge(path, NO_ECHO, nonce);
    if (both || check.takeReminder(nowUs)) this.#options.challenge(oldPath, NO_ECHO, oldNonce);
  }

  #judge(nowUs: TimeUs, key: string, check: AddressCheck): void {
    const verdict = check.verdict(nowUs);
    if (verdict === "open") return;
    const { counters } = this.#options;
    const { path, oldPath } = check.options;
    const ofHome = key.startsWith("home");
    this.#checks.delete(key);
    this.#checkAfterUs.set(key, nowUs + ROAM_COOLDOWN_US);
    if (verdict === "moved") {
      counters.roamOk += 1;
      if (ofHome) this.#moveHome(path);
      else this.#options.rerouted(oldPath, path);
    }
    if (verdict === "unanswered") counters.roamUnanswered += 1;
    if (verdict === "conflict") {
      if (transportAt(oldPath) === transportAt(path)) counters.roamConflict += 1;
      else counters.homeKept += 1;
      // The old one has just answered: an ATTACH that began this is settled.
      if (ofHome) this.#settle(oldPath);
    }
  }

  /** Neither a RESPONSE that is under way from the old home nor a check against it may move it back. */
  #moveHome(path: Path): void {
    this.#asked.clear();
    this.#checks.clear();
    this.#answered = null;
    this.#settle(path);
  }

  #settle(home: Path): void {
    const before = this.#path;
    this.#path = home;
    this.#options.settled(before, home);
  }
}

function transportAt(path: Path): number {
  return path[PATH_AT.transport] as number;
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
