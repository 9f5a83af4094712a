/**
 * LINK_STATE both ways: tells the peer over its other links that the device, address or route of one is gone
 * or back, and heeds what the peer tells. Each is said three times, because the link it goes by may lose it.
 */
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";
import { TokenBucket } from "../session/bucket.ts";
import {
  decodeLinkState,
  encodeLinkState,
  LINK_STATE_SUBTYPE,
  type LinkState,
} from "../wire/link-state.ts";
import { TYPE } from "../wire/preamble.ts";
import type { DataPath } from "./datapath.ts";
import type { Peer } from "./peer.ts";

/** Between the first copy and the second, the second and the third. */
const AGAIN_US = [30 * MS, 70 * MS] as const;
/**
 * A message that comes so long after its link was said to be unusable left after that: what comes by a
 * satellite, or out of a long buffer, is overtaken by news over another link.
 */
const LATE_US = SECOND;
/**
 * Losses that a peer is believed, a second and at once: each costs a line of the log and all that is under way. An honest
 * one damps what flaps (`steadiness.ts`), and silence shows the rest.
 */
const BELIEVED = { perSecond: 4, burst: 64 } as const;

interface Telling {
  readonly news: LinkState;
  /** Copies sent so far. */
  sent: number;
  dueUs: TimeUs;
  /** It was due, and no link took it: any wake-up may find one that does. */
  waits: boolean;
}

/** A link that is unusable by the peer's word. */
interface Told {
  readonly link: Link;
  readonly atUs: TimeUs;
  /** DATA received over it by then. */
  packets: number;
}

export class LinkNews {
  /** LINK_STATE that could not be read. */
  malformed = 0;
  /** Losses that were told too often. */
  disbelieved = 0;
  readonly #data: DataPath;
  #number = 0;
  /** Each peer's, by link number. At most one a link. */
  readonly #telling = new Map<Peer, Map<number, Telling>>();
  readonly #told = new Map<Peer, Map<number, Told>>();
  readonly #believed = new WeakMap<Peer, TokenBucket>();

  constructor(data: DataPath) {
    this.#data = data;
    data.controls.on(LINK_STATE_SUBTYPE, (nowUs, { peer }, slot) => this.#take(nowUs, peer, slot));
  }

  /** Says what has become of one of the peer's links; what was to be said of it before is obsolete. */
  tell(nowUs: TimeUs, peer: Peer, link: number, state: LinkState["state"]): void {
    this.#number += 1;
    const news: LinkState = { link, state, number: this.#number };
    const telling: Telling = { news, sent: 0, dueUs: nowUs, waits: true };
    const known = this.#telling.get(peer) ?? new Map<number, Telling>();
    this.#telling.set(peer, known.set(link, telling));
    // At once: what follows may be the news of its return.
    this.#say(nowUs, peer, telling);
  }

  /** Says again what is due, and believes in links over which something comes. Once a wake-up. */
  tick(nowUs: TimeUs): void {
    for (const [peer, known] of this.#telling) {
      for (const [number, telling] of known) {
        this.#say(nowUs, peer, telling);
        if (telling.sent > AGAIN_US.length) known.delete(number);
      }
    }
    for (const [peer, known] of this.#told) {
      for (const [number, told] of known) this.#listen(nowUs, peer, number, told);
      if (known.size === 0) this.#told.delete(peer);
    }
  }

  /** Of those that could be said; the others wait until a link is up. */
  deadlineUs(): TimeUs {
    let deadlineUs = NEVER;
    for (const known of this.#telling.values()) {
      for (const { waits, dueUs } of known.values()) {
        if (!waits) deadlineUs = Math.min(deadlineUs, dueUs);
      }
    }
    return deadlineUs;
  }

  /** What the peer has told of its end of a link; undefined: nothing bad. */
  faultOf(peer: Peer, link: number): string | undefined {
    return this.#told.get(peer)?.has(link) === true ? "as the other portal says" : undefined;
  }

  #say(nowUs: TimeUs, peer: Peer, telling: Telling): void {
    if (nowUs < telling.dueUs) return;
    telling.waits = true;
    const { arena } = this.#data;
    const { links } = peer.bond;
    const carrier = links.find(
      ({ number, up, held }) => number !== telling.news.link && up && !held,
    );
    if (carrier === undefined) return;
    const slot = arena.take();
    if (slot < 0) return;
    arena.write(slot, encodeLinkState(telling.news));
    if (!carrier.sendControl(slot, TYPE.control)) {
      arena.give(slot);
      return;
    }
    telling.dueUs = nowUs + (AGAIN_US[telling.sent] ?? NEVER);
    telling.sent += 1;
    telling.waits = false;
    peer.dirty = true;
  }

  #take(nowUs: TimeUs, peer: Peer, slot: number): void {
    const news = decodeLinkState(this.#data.arena.read(slot));
    if (typeof news === "string") {
      this.malformed += 1;
      return;
    }
    const link = peer.bond.link(news.link);
    const before = peer.newsHeard[news.link] as number;
    if (link === undefined || news.number <= before) return;
    peer.newsHeard[news.link] = news.number;
    peer.dirty = true;
    const known = this.#told.get(peer) ?? new Map<number, Told>();
    if (news.state === "restored") {
      known.delete(news.link);
      link.restored(nowUs);
      return;
    }
    if (!this.#believes(nowUs, peer)) {
      this.disbelieved += 1;
      return;
    }
    this.#told.set(peer, known.set(news.link, { link, atUs: nowUs, packets: 0 }));
    link.unusable(nowUs);
  }

  #believes(nowUs: TimeUs, peer: Peer): boolean {
    const bucket = this.#believed.get(peer) ?? new TokenBucket(BELIEVED.perSecond, BELIEVED.burst);
    this.#believed.set(peer, bucket);
    return bucket.take(nowUs);
  }

  /** All news of a link's return may have been lost: what comes over it, and left later, says the same. */
  #listen(nowUs: TimeUs, peer: Peer, number: number, told: Told): void {
    const { packets } = told.link.receipts;
    const gone = peer.bond.link(number) !== told.link || told.link.up;
    if (nowUs < told.atUs + LATE_US) told.packets = packets;
    else if (gone || packets !== told.packets) {
      this.#told.get(peer)?.delete(number);
      if (gone) return;
      told.link.restored(nowUs);
      peer.dirty = true;
    }
  }
}
