/**
 * Watches by which way each link of a Local Portal leaves the machine: the kernel says at once that
 * something has changed, and then every link is looked at. Tells what has become of each; what that means
 * for sockets and peers is the keeper's.
 */
import type { Log } from "../core/log.ts";
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Engine, Handle } from "../native/native.ts";
import type { LinkSockets } from "./link-sockets.ts";
import { type Kernel, type Place, placeOf, type UsablePlace } from "./place.ts";
import { Steadiness } from "./steadiness.ts";

/** What comes together (a device, its addresses, its routes) is looked at once. */
const GATHER_US = 1 * MS;
/** A flood of changes, as a router's table, costs one look each time. */
const LOOK_INTERVAL_US = 10 * MS;
/** Without any news: the kernel may have had no room for them. */
const LOOK_ANYWAY_US = 5 * SECOND;
/** The same where it tells nothing. */
const LOOK_BLINDLY_US = 1 * SECOND;
/** Changes read in one go, before a look; the next one takes the rest. */
const READS_MAX = 4;

/** What becomes of links. Each is called from `tick`. */
export interface WhereaboutsEvents {
  /** Nothing can be sent or received over it any more. */
  readonly gone: (nowUs: TimeUs, link: LinkSockets) => void;
  /** It can be used again, or for the first time. */
  readonly back: (nowUs: TimeUs, link: LinkSockets) => void;
  /** It goes another way now than `before`. */
  readonly moved: (nowUs: TimeUs, link: LinkSockets, before: UsablePlace) => void;
}

export interface WhereaboutsOptions extends WhereaboutsEvents {
  readonly engine: Kernel & Pick<Engine, "openMonitor" | "readMonitor" | "setInterest">;
  /** Name of the tunnel's device. */
  readonly tunnel: string;
  /** Something has changed on the machine, perhaps nothing that links show. */
  readonly onChange: () => void;
  readonly links: readonly LinkSockets[];
  readonly log: Log;
}

export class Whereabouts {
  /** Looks taken so far. */
  looks = 0;
  readonly #options: WhereaboutsOptions;
  /** By link number. */
  readonly #steadiness: readonly Steadiness[];
  /** The same for their moves, which are told as seldom when one follows the other. */
  readonly #moves: readonly Steadiness[];
  /** From when on a move counts, by link number; Infinity: there is none. */
  readonly #movesUs: Float64Array;
  #monitor: Handle = 0;
  #anywayUs = LOOK_BLINDLY_US;
  #lookUs: TimeUs = NEVER;
  #lookedUs: TimeUs = Number.NEGATIVE_INFINITY;
  /** A link is there and does not count as back yet: when it does. */
  #steadyUs: TimeUs = NEVER;
  #blind = false;

  constructor(options: WhereaboutsOptions) {
    this.#options = options;
    this.#steadiness = options.links.map(() => new Steadiness());
    this.#moves = options.links.map(() => new Steadiness());
    this.#movesUs = new Float64Array(options.links.length).fill(NEVER);
  }

  /** Begins to listen, and looks for the first time: `events` are not called for what is there. */
  open(nowUs: TimeUs): void {
    const { engine, log, links } = this.#options;
    try {
      this.#monitor = engine.openMonitor();
      this.#anywayUs = LOOK_ANYWAY_US;
    } catch (cause) {
      log.warn(`changes of devices are noticed within a second only (${textOf(cause)})`);
    }
    for (const link of links) {
      link.place = this.#placeOf(link);
      if (link.place.tag === "unusable") this.#steadiness[link.number]?.lost(nowUs);
    }
    this.#lookedUs = nowUs;
  }

  /** Something happened on a descriptor; false: it is another's. */
  serve(nowUs: TimeUs, handle: Handle): boolean {
    if (handle !== this.#monitor || handle === 0) return false;
    if (!this.#drain()) return true;
    this.soon(nowUs);
    // More of the same would wake us again and again until the look.
    this.#options.engine.setInterest(handle, 0);
    return true;
  }

  /** Something may be wrong, or right again: looks within some milliseconds. */
  soon(nowUs: TimeUs): void {
    const earliestUs = Math.max(nowUs + GATHER_US, this.#lookedUs + LOOK_INTERVAL_US);
    this.#lookUs = Math.min(this.#lookUs, earliestUs);
  }

  tick(nowUs: TimeUs): void {
    if (nowUs < this.deadlineUs()) return;
    if (this.#lookUs <= nowUs) this.#options.onChange();
    this.#lookUs = NEVER;
    this.#lookedUs = nowUs;
    this.#steadyUs = NEVER;
    this.looks += 1;
    if (this.#monitor !== 0) {
      // What has come before the look is answered by it.
      this.#drain();
      this.#options.engine.setInterest(this.#monitor, 1);
    }
    for (const link of this.#options.links) this.#look(nowUs, link);
  }

  deadlineUs(): TimeUs {
    return Math.min(this.#lookUs, this.#steadyUs, this.#lookedUs + this.#anywayUs);
  }

  /** The link's remote address has become known, or another. */
  renamed(link: LinkSockets): void {
    if (link.place.tag === "usable") link.place = this.#placeOf(link);
  }

  #look(nowUs: TimeUs, link: LinkSockets): void {
    const { gone, back } = this.#options;
    const steadiness = this.#steadiness[link.number] as Steadiness;
    const before = link.place;
    const place = this.#placeOf(link);
    if (place.tag === "unusable") {
      steadiness.lost(nowUs);
      link.place = place;
      if (before.tag === "usable") gone(nowUs, link);
    } else if (before.tag === "unusable") {
      const backUs = steadiness.found(nowUs);
      if (backUs > nowUs) this.#steadyUs = Math.min(this.#steadyUs, backUs);
      else {
        link.place = place;
        back(nowUs, link);
      }
    } else if (!samePlace(before, place)) {
      this.#move(nowUs, link, before, place);
      return;
    }
    this.#movesUs[link.number] = NEVER;
  }

  /** Each move has every transport tried anew: routes that change all the time must not have that done all the time. */
  #move(nowUs: TimeUs, link: LinkSockets, before: UsablePlace, place: UsablePlace): void {
    const { number } = link;
    let fromUs = this.#movesUs[number] as number;
    if (fromUs === NEVER) {
      const moves = this.#moves[number] as Steadiness;
      moves.lost(nowUs);
      fromUs = moves.found(nowUs);
    }
    const waits = nowUs < fromUs;
    this.#movesUs[number] = waits ? fromUs : NEVER;
    if (waits) {
      this.#steadyUs = Math.min(this.#steadyUs, fromUs);
      return;
    }
    link.place = place;
    this.#options.moved(nowUs, link, before);
  }

  /** A kernel that does not answer, for good or for once, leaves the link where it is. */
  #placeOf({ way, place }: LinkSockets): Place {
    const { engine, tunnel, log } = this.#options;
    try {
      return placeOf(engine, way, tunnel);
    } catch (cause) {
      if (!this.#blind) log.warn(`devices and routes cannot be looked at (${textOf(cause)})`);
      this.#blind = true;
      return place;
    }
  }

  /** False: there was nothing. */
  #drain(): boolean {
    const { engine } = this.#options;
    let changes = 0;
    for (let read = 0; read < READS_MAX; read += 1) {
      const some = engine.readMonitor(this.#monitor);
      changes |= some;
      if (some === 0) break;
    }
    return changes !== 0;
  }
}

function samePlace(a: UsablePlace, b: UsablePlace): boolean {
  return a.device === b.device && a.via === b.via && a.source === b.source;
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
