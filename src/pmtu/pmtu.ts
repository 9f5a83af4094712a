/**
 * How long the packets of one link may be, in our sending direction: a search for each datagram transport, when they
 * have to search, and what that makes for the link. And the other direction: what to answer to the peer's probes.
 *
 * Drive it so: say which transports may be used (`open`, `stop`), what happened (`doubt`, `hasten`, `proven`,
 * `answered`), `poll` until null, again at `deadlineUs`; then read `largest`. Sizes are octets of IP packets,
 * those of probes and answers octets of messages, which are shorter by the headers in front.
 */
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { type Transport, transportNumber, transportOf } from "../core/transport.ts";
import { encodePmtuProbe, type PmtuAnswer, type PmtuProbe } from "../wire/pmtu.ts";
import { Search, type SearchState } from "./search.ts";

/** TCP has no size: the kernel cuts its stream. */
export type DatagramTransport = Exclude<Transport, "tcp">;
export const DATAGRAM_TRANSPORTS: readonly DatagramTransport[] = ["raw", "udp"];

/** Answers are waited for one round trip and a half, and this; within these. */
const WAIT_SLACK_US = SECOND / 20;
const WAIT_MIN_US = SECOND / 10;
const WAIT_MAX_US = 1 * SECOND;
/** Doubts do not come oftener: heavy congestion looks the same for a moment, and brings them again and again. */
const DOUBT_PAUSE_US = SECOND / 2;
/** When one that was sure proves wrong, the next ones are not for so long, doubled each time. */
const SURE_FIRST_US = 2 * SECOND;
const SURE_MAX_US = 60 * SECOND;

interface Path {
  readonly search: Search;
  /** Octets of IP and UDP header. */
  headerOctets: number;
  open: boolean;
}

/** One transport in a status: octets of an IP packet; null: nothing is known. */
export interface PathSize {
  readonly octets: number | null;
  readonly state: SearchState;
}

export class LinkSizes {
  /** The longest packet that some transport of the link carries. */
  largest: number;
  readonly #paths: readonly Path[];
  /** Of the peer's probes, by transport number: the round, and the longest that came. */
  readonly #heardSearch = [-1, -1, -1];
  readonly #heardOctets = [0, 0, 0];
  #searches = 0;
  #doubtUs: TimeUs = -NEVER;
  /** Some path was seen to carry less, and the others have been doubted for it. */
  #fell = false;
  #sureUs: TimeUs = -NEVER;
  #surePauseUs = SURE_FIRST_US;

  /** @param sizeMax - the longest packet that is any use: what the link's device carries */
  constructor(sizeMax: number) {
    const nextSearch = () => {
      this.#searches = (this.#searches + 1) >>> 0;
      return this.#searches;
    };
    this.largest = sizeMax;
    this.#paths = DATAGRAM_TRANSPORTS.map(() => ({
      search: new Search(sizeMax, nextSearch),
      headerOctets: 0,
      open: false,
    }));
  }

  /**
   * Probes may be sent by `transport` from now on. `another`: along a path that was not there before; what was known of
   * the one before is taken to hold until the search knows better.
   */
  open(nowUs: TimeUs, transport: DatagramTransport, headerOctets: number, another: boolean): void {
    const path = this.#path(transport);
    path.headerOctets = headerOctets;
    path.open = true;
    path.search.doubt(nowUs, false);
    if (another) path.search.hasten(nowUs);
  }

  /** DATA is to go by `transport` now: what it carries should be known. */
  used(nowUs: TimeUs, transport: DatagramTransport): void {
    const { open, search } = this.#path(transport);
    if (open) search.doubt(nowUs, false);
  }

  /** Nothing may be sent by it any more. */
  stop(transport: DatagramTransport): void {
    const path = this.#path(transport);
    path.open = false;
    path.search.stop();
  }

  /**
   * Long packets are lost, or refused: asks, by the others as well when it turns out to be so. False: too soon after the
   * last doubt.
   *
   * @param transport - that lost them; null: nobody knows
   * @param sure - so many are lost that the search need not ask first whether it is so
   */
  doubt(nowUs: TimeUs, transport: DatagramTransport | null, sure: boolean): boolean {
    if (nowUs - this.#doubtUs < DOUBT_PAUSE_US) return false;
    this.#doubtUs = nowUs;
    const surely = sure && nowUs >= this.#sureUs;
    if (surely) {
      this.#sureUs = nowUs + this.#surePauseUs;
      this.#surePauseUs = Math.min(2 * this.#surePauseUs, SURE_MAX_US);
    }
    for (let index = 0; index < this.#paths.length; index += 1) {
      const { open, search } = this.#paths[index] as Path;
      const asked = transport === null || transport === DATAGRAM_TRANSPORTS[index];
      if (open && asked) search.doubt(nowUs, surely);
    }
    return true;
  }

  /** The device, its address or a route has changed: all is open again. */
  pathChanged(nowUs: TimeUs): void {
    this.#surePauseUs = SURE_FIRST_US;
    for (const { open, search } of this.#paths) {
      if (!open) continue;
      search.doubt(nowUs, false);
      search.hasten(nowUs);
    }
  }

  /** Messages of `octets` have been seen to arrive by `transport`. */
  proven(transport: DatagramTransport, octets: number): void {
    const { search, headerOctets } = this.#path(transport);
    search.proven(octets + headerOctets);
  }

  /** The next probe to send, by which transport, and its CONTROL body; null: none now. */
  poll(
    nowUs: TimeUs,
    rttUs: number,
  ): { transport: DatagramTransport; probe: PmtuProbe; body: Uint8Array } | null {
    const waitUs = Math.min(Math.max(1.5 * rttUs + WAIT_SLACK_US, WAIT_MIN_US), WAIT_MAX_US);
    for (let index = 0; index < this.#paths.length; index += 1) {
      const { open, search, headerOctets } = this.#paths[index] as Path;
      search.waitUs = waitUs;
      if (!open || search.deadlineUs(nowUs) > nowUs) continue;
      const size = search.poll(nowUs);
      if (size === 0) continue;
      const transport = DATAGRAM_TRANSPORTS[index] as DatagramTransport;
      const octets = size - headerOctets;
      const probe = { transport: transportNumber(transport), search: search.search, octets };
      return { transport, probe, body: encodePmtuProbe(probe) };
    }
    if (this.#spread(nowUs)) return this.poll(nowUs, rttUs);
    this.#conclude();
    return null;
  }

  /** The peer's answer to a probe of ours; false: to none that is under way. */
  answered(answer: PmtuAnswer): boolean {
    const transport = transportOf(answer.transport);
    if (transport === undefined || transport === "tcp") return false;
    const { search, headerOctets } = this.#path(transport);
    return search.answered(answer.search, answer.octets + headerOctets);
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    let deadlineUs = NEVER;
    for (let index = 0; index < this.#paths.length; index += 1) {
      const { open, search } = this.#paths[index] as Path;
      if (open) deadlineUs = Math.min(deadlineUs, search.deadlineUs(nowUs));
    }
    return deadlineUs;
  }

  /** A probe of the peer's has come; the octets to answer with, 0: that something longer came was said already. */
  heard({ transport, search, octets }: PmtuProbe): number {
    if (this.#heardSearch[transport] === undefined) return 0;
    if (this.#heardSearch[transport] !== search) this.#heardOctets[transport] = 0;
    this.#heardSearch[transport] = search;
    if (octets < (this.#heardOctets[transport] as number)) return 0;
    this.#heardOctets[transport] = octets;
    return octets;
  }

  /** The peer has begun a new session: it may count its searches anew. */
  forgetHeard(): void {
    this.#heardSearch.fill(-1);
  }

  /** As far as is known, messages of `octets` fit what `transport` carries. */
  carries(transport: DatagramTransport, octets: number): boolean {
    const { open, search, headerOctets } = this.#path(transport);
    return !open || search.state !== "confirmed" || octets + headerOctets <= search.size;
  }

  /** The longest packet by one transport. */
  sizeOf(transport: DatagramTransport): PathSize {
    const { open, search } = this.#path(transport);
    const known = open && search.state === "confirmed";
    return { octets: known ? search.size : null, state: search.state };
  }

  #path(transport: DatagramTransport): Path {
    return this.#paths[transportNumber(transport)] as Path;
  }

  /**
   * The most that any carries which has answered. While one of these is in doubt nothing is said, so that the
   * link does not follow the one that has not been asked yet.
   */
  #conclude(): void {
    let largest = 0;
    for (let index = 0; index < this.#paths.length; index += 1) {
      const { open, search } = this.#paths[index] as Path;
      if (!open || search.state === "silent") continue;
      if (search.unsettled) return;
      largest = Math.max(largest, search.size);
    }
    // Nothing answers: TCP carries the link, or it is down, or the peer does not know these messages.
    if (largest === 0) return;
    if (largest < this.largest) {
      this.#sureUs = -NEVER;
      this.#surePauseUs = SURE_FIRST_US;
    }
    this.largest = largest;
  }

  /** What one path no longer carries the others may not carry either. True: they are asked now. */
  #spread(nowUs: TimeUs): boolean {
    let unsettled = false;
    let falling = false;
    for (let index = 0; index < this.#paths.length; index += 1) {
      const { open, search } = this.#paths[index] as Path;
      unsettled ||= open && search.unsettled;
      falling ||= open && search.falling;
    }
    if (!unsettled) this.#fell = false;
    if (!falling || this.#fell) return false;
    this.#fell = true;
    for (const { open, search } of this.#paths) if (open) search.doubt(nowUs, true);
    return true;
  }
}
