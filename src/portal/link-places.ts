/**
 * What a Local Portal does when a link's device, address, route or name changes: takes the link out at once,
 * tells the peer over another, and has it back with new sockets, without waiting for anything.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../core/log.ts";
import { MS, type TimeUs } from "../core/time.ts";
import { type HostAddress, Names } from "../io/names.ts";
import { COUNTER, type Handle, type SocketError } from "../native/native.ts";
import type { DataPath } from "./datapath.ts";
import { LinkNews } from "./link-news.ts";
import type { LinkSockets } from "./link-sockets.ts";
import type { Peer } from "./peer.ts";
import { placeOf } from "./place.ts";
import { RemoteNames } from "./remote-names.ts";
import type { SocketKeeper } from "./socket-keeper.ts";
import { Whereabouts } from "./whereabouts.ts";

/** How long the start waits for names to be resolved. */
const NAMES_WAIT_MS = 2_000;
/** Between two looks because packets could not be sent: the kernel would have told of a change. */
const REFUSED_INTERVAL_US = 100 * MS;
/**
 * What a socket may say of its own end. Behind one of them may stand an ICMP message, which anybody can forge: what
 * is believed are the kernel's tables.
 */
const LOCAL_FAULTS = ["ENETDOWN", "ENETUNREACH", "EADDRNOTAVAIL", "ENODEV", "EINVAL"];

export interface LinkPlacesOptions {
  /** Name of the tunnel's device. */
  readonly tunnel: string;
  readonly links: readonly LinkSockets[];
  readonly peer: Peer;
  readonly data: DataPath;
  readonly keeper: SocketKeeper;
  readonly log: Log;
  /** Something has changed on the machine or of a name, perhaps nothing that links show. */
  readonly onChange: () => void;
}

export class LinkPlaces {
  readonly #options: LinkPlacesOptions;
  readonly #whereabouts: Whereabouts;
  readonly #names: RemoteNames;
  readonly #news: LinkNews;
  #opened = false;
  #refused = 0;
  #refusedLookUs: TimeUs = Number.NEGATIVE_INFINITY;

  constructor(options: LinkPlacesOptions) {
    const { data, links, log, tunnel, onChange } = options;
    this.#options = options;
    this.#news = new LinkNews(data);
    this.#whereabouts = new Whereabouts({
      ...{ engine: data.engine, tunnel, links, log, onChange },
      gone: (nowUs, link) => this.#gone(nowUs, link),
      back: (nowUs, link) => this.#back(nowUs, link),
      moved: (nowUs, link) => this.#moved(nowUs, link),
    });
    this.#names = new RemoteNames({
      ...{ links, log, names: new Names(), nowUs: () => data.engine.nowUs() },
      isSilent: (link) => this.#isSilent(link),
      leadsTo: (link, to) => this.#leadsTo(link, to),
      onAddress: (link) => this.#onAddress(link),
    });
  }

  /** Looks at every link, and waits a little for names. */
  async open(): Promise<void> {
    const { data, links, log } = this.#options;
    this.#whereabouts.open(data.engine.nowUs());
    // A name server that does not answer holds up its own links only.
    await Promise.race([this.#names.start(), sleep(NAMES_WAIT_MS, undefined, { ref: false })]);
    this.#opened = true;
    for (const { place, config } of links) {
      if (place.tag === "unusable") log.warn(`link ${config.name}: ${place.why}; it is waited for`);
    }
  }

  close(): void {
    this.#names.close();
  }

  /** Why a link cannot be used; undefined: nothing is known to be wrong with it. */
  faultOf(number: number): string | undefined {
    const place = this.#options.links[number]?.place;
    return place?.tag === "unusable" ? place.why : undefined;
  }

  /** Something happened on a descriptor; false: it is another's. */
  serve(handle: Handle): boolean {
    return this.#whereabouts.serve(this.#options.data.engine.nowUs(), handle);
  }

  onError(nowUs: TimeUs, error: SocketError): void {
    if (error.icmp === null && LOCAL_FAULTS.includes(error.code)) this.#whereabouts.soon(nowUs);
  }

  /** Once a wake-up. */
  tick(nowUs: TimeUs): void {
    this.#countRefused(nowUs);
    this.#whereabouts.tick(nowUs);
    this.#news.tick(nowUs);
  }

  /** Once a second. */
  tickNames(nowUs: TimeUs): void {
    this.#names.tick(nowUs);
  }

  deadlineUs(): TimeUs {
    return Math.min(this.#whereabouts.deadlineUs(), this.#news.deadlineUs());
  }

  /** Packets that the machine itself refused, of whichever link: the reason may be one that a look shows. */
  #countRefused(nowUs: TimeUs): void {
    const { counters } = this.#options.data.arena;
    const unreachable = counters[COUNTER.sendUnreachable] as number;
    const refused = unreachable + (counters[COUNTER.sendOtherError] as number);
    if (refused === this.#refused || nowUs < this.#refusedLookUs + REFUSED_INTERVAL_US) return;
    this.#refused = refused;
    this.#refusedLookUs = nowUs;
    this.#whereabouts.soon(nowUs);
  }

  #gone(nowUs: TimeUs, link: LinkSockets): void {
    const { peer, keeper, log } = this.#options;
    const { place, number, config } = link;
    const life = peer.bond.link(number)?.life.tag;
    // Of a link that carried packets the portal tells, with what is left.
    if (life === undefined || life === "connecting" || life === "down") {
      log.warn(`link ${config.name}: ${this.faultOf(number)}; it is waited for`);
    }
    this.#takeOut(nowUs, link);
    if (place.tag === "unusable" && place.loops) keeper.closeAll(nowUs, link);
  }

  #back(nowUs: TimeUs, link: LinkSockets): void {
    this.#options.log.info(`link ${link.config.name}: its device, address and route are there`);
    this.#options.keeper.refresh(nowUs, link);
    this.#bringBack(nowUs, link);
  }

  #moved(nowUs: TimeUs, link: LinkSockets): void {
    const { log, keeper, data } = this.#options;
    log.info(
      `link ${link.config.name}: its device or address has changed; every transport is tried anew`,
    );
    // What is under way from an address that is gone comes to nothing, and so do its answers.
    if (link.each.some((socket) => link.isStale(data.engine, socket))) this.#takeOut(nowUs, link);
    keeper.refresh(nowUs, link);
    this.#bringBack(nowUs, link);
  }

  #takeOut(nowUs: TimeUs, { number }: LinkSockets): void {
    const { peer } = this.#options;
    peer.bond.link(number)?.unusable(nowUs);
    peer.dirty = true;
    this.#news.tell(nowUs, peer, number, "unusable");
  }

  #bringBack(nowUs: TimeUs, link: LinkSockets): void {
    const { peer } = this.#options;
    const { number } = link;
    peer.ladders[number]?.pathChanged(nowUs);
    peer.sizes[number]?.pathChanged(nowUs);
    peer.bond.link(number)?.restored(nowUs);
    peer.dirty = true;
    this.#news.tell(nowUs, peer, number, "restored");
    this.#names.hasten(link);
  }

  #isSilent({ number, place }: LinkSockets): boolean {
    const life = this.#options.peer.bond.link(number)?.life.tag;
    return place.tag === "usable" && life !== "up" && life !== "suspect";
  }

  #leadsTo({ config: { device, source } }: LinkSockets, { address }: HostAddress): boolean {
    const { data, tunnel } = this.#options;
    try {
      return placeOf(data.engine, { device, source, remote: address }, tunnel).tag === "usable";
    } catch {
      return true;
    }
  }

  /** Before the start they are opened with all others. */
  #onAddress(link: LinkSockets): void {
    const { data, keeper } = this.#options;
    const nowUs = data.engine.nowUs();
    this.#whereabouts.renamed(link);
    if (!this.#opened) return;
    // A way that has become one, or has ceased to be, is found by the look.
    this.#whereabouts.soon(nowUs);
    keeper.refresh(nowUs, link);
    data.wake();
  }
}
