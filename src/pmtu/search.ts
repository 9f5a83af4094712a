/**
 * The search for the longest packet that one transport of a link carries in our sending direction: packetization
 * layer path MTU discovery for datagram transports (RFC 8899), with a comb of likely sizes in place of one probe
 * after the other, so that it takes about three round trips and 0.1 s instead of tens of them. Sizes are octets
 * of IP packets. ICMP has no say.
 *
 *   confirm   the size in use and a small one, three times: it is carried, or nothing is, or only the small one is
 *   comb      the likely sizes between what is carried and what is not, twice: the longest that came is in use from then
 *             on; then even steps, until 4 octets are left
 *   rest      until somebody is in doubt, or a longer packet is worth a try
 */
import { MS, NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { Round } from "./round.ts";
import { evenSizes, likelySizes, PRECISION_OCTETS } from "./sizes.ts";

/** A size that every path should carry (RFC 791): what tells "too long" from "nothing passes". */
export const SMALL_OCTETS = 576;
const CONFIRM = { trains: 3, spacingUs: 20 * MS } as const;
const COMB = { trains: 2, spacingUs: 30 * MS } as const;
/** Rounds of one search; then what was found last has to do. */
const ROUNDS_MAX = 10;
/**
 * When something longer is tried after a size was found, further and further apart: a search may have been misled
 * by heavy loss, and paths change back. The last is PMTU_RAISE_TIMER of RFC 8899 section 5.1.1.
 */
const RAISE_US: readonly number[] = [10 * SECOND, 60 * SECOND, 600 * SECOND];
/** When a path that answers nothing is asked again. */
const SILENT_FIRST_US = 1 * SECOND;
const SILENT_MAX_US = 600 * SECOND;

/** `unknown`: not confirmed yet; `silent`: no probe of any size was answered. */
export type SearchState = "unknown" | "confirmed" | "silent";

export class Search {
  /** The longest packet that is taken to pass: what the device carries, until the search knows better. */
  size: number;
  state: SearchState = "unknown";
  /** How long answers are waited for; the caller keeps it up to the round-trip time. */
  waitUs = 500 * MS;
  readonly #sizeMax: number;
  readonly #nextSearch: () => number;
  #round: Round | null = null;
  #stage: "confirm" | "comb" | "rest" = "rest";
  /** Not carried, as far as this search has seen; in `comb`. */
  #most: number;
  #rounds = 0;
  /** The size in use has been doubted and is not settled yet. */
  #doubted = false;
  /** Something longer is to be tried as soon as the present size is confirmed. */
  #eager = false;
  #raises = 0;
  #silences = 0;
  #againUs: TimeUs = NEVER;

  /**
   * @param sizeMax - the longest packet that is any use
   * @param nextSearch - names of rounds, never the same twice on a link and transport
   */
  constructor(sizeMax: number, nextSearch: () => number) {
    this.#sizeMax = sizeMax;
    this.#most = sizeMax;
    this.size = sizeMax;
    this.#nextSearch = nextSearch;
  }

  /** `size` may be about to fall. */
  get unsettled(): boolean {
    return this.#doubted;
  }

  /** It has been doubted with reason: the size in use was not answered, or the search did not ask. */
  get falling(): boolean {
    return this.#doubted && this.#stage === "comb";
  }

  /** Long packets may not get through any more: asks, and searches if it is so; at once if it is nearly `sure`. */
  doubt(nowUs: TimeUs, sure: boolean): void {
    if (this.#doubted) return;
    this.#doubted = true;
    this.#rounds = 0;
    if (!sure || this.state !== "confirmed" || this.size <= SMALL_OCTETS) {
      this.#confirm(nowUs, this.size);
      return;
    }
    this.#most = this.size;
    this.#comb(nowUs, likelySizes(SMALL_OCTETS, this.size));
  }

  /** The path may carry more than it did. */
  hasten(nowUs: TimeUs): void {
    if (this.#stage === "rest") this.#againUs = nowUs;
    else this.#eager = true;
  }

  /** Packets of this size have been seen to arrive. */
  proven(size: number): void {
    if (this.#stage === "rest") this.size = Math.min(Math.max(this.size, size), this.#sizeMax);
  }

  /** It may not be sent by at present. */
  stop(): void {
    this.#round = null;
    this.#stage = "rest";
    this.#doubted = false;
    this.#eager = false;
    this.#againUs = NEVER;
  }

  /** Size of the probe to send now; 0: none. Call until 0. Its round is `search`. */
  poll(nowUs: TimeUs): number {
    if (this.#round === null && nowUs >= this.#againUs) this.#again(nowUs);
    while (this.#round?.over(nowUs)) this.#judge(nowUs, this.#round);
    return this.#round?.poll(nowUs) ?? 0;
  }

  get search(): number {
    return this.#round?.search ?? 0;
  }

  /** The longest probe of round `search` that the peer has had. Judged with the next `poll`. */
  answered(search: number, size: number): boolean {
    if (this.#round === null || this.#round.search !== search) return false;
    // No probe of ours was that long, or that short.
    if (!this.#round.sizes.includes(size)) return false;
    this.#round.answered(size);
    return true;
  }

  deadlineUs(nowUs: TimeUs): TimeUs {
    if (this.#round === null) return this.#againUs;
    return this.#round.over(nowUs) ? nowUs : this.#round.deadlineUs();
  }

  #again(nowUs: TimeUs): void {
    this.#againUs = NEVER;
    this.#rounds = 0;
    if (this.state === "silent" || this.size >= this.#sizeMax) this.#confirm(nowUs, this.size);
    else {
      this.#most = this.#sizeMax;
      this.#comb(nowUs, likelySizes(this.size, this.#sizeMax));
    }
  }

  #confirm(nowUs: TimeUs, size: number): void {
    this.#stage = "confirm";
    this.#most = size;
    const sizes = size > SMALL_OCTETS ? [size, SMALL_OCTETS] : [size];
    this.#begin(nowUs, sizes, CONFIRM);
  }

  #comb(nowUs: TimeUs, sizes: readonly number[]): void {
    this.#stage = "comb";
    this.#begin(nowUs, sizes, COMB);
  }

  #begin(nowUs: TimeUs, sizes: readonly number[], manner: typeof CONFIRM | typeof COMB): void {
    this.#rounds += 1;
    const search = this.#nextSearch();
    this.#round = new Round(nowUs, { search, sizes, ...manner, waitUs: this.waitUs });
  }

  #judge(nowUs: TimeUs, round: Round): void {
    this.#round = null;
    const { found } = round;
    if (found === 0) this.#hearNothing(nowUs);
    else if (this.#stage === "confirm") {
      if (round.complete) this.#conclude(nowUs, found);
      else this.#comb(nowUs, likelySizes(found, this.#most));
    } else if (round.complete && found >= this.#most) this.#conclude(nowUs, found);
    else this.#narrow(nowUs, round);
  }

  #narrow(nowUs: TimeUs, { found, sizes, complete }: Round): void {
    const fails = sizes.findLast((size) => size > found) ?? found;
    const known = !complete && fails - found <= PRECISION_OCTETS;
    if (known || this.#rounds >= ROUNDS_MAX) this.#conclude(nowUs, found);
    // Chance had it look too low: on from here.
    else if (complete) this.#comb(nowUs, likelySizes(found, this.#most));
    else {
      // So much at least passes, which is worth a round trip.
      if (found < this.size) this.#settle(found);
      this.#comb(nowUs, evenSizes(found, fails));
    }
  }

  #hearNothing(nowUs: TimeUs): void {
    // In a comb even what had passed before was lost.
    if (this.#stage === "comb" && this.#rounds < ROUNDS_MAX) {
      this.#doubted = true;
      this.#confirm(nowUs, this.size);
      return;
    }
    this.#stage = "rest";
    this.#doubted = false;
    this.state = "silent";
    this.#againUs = nowUs + Math.min(SILENT_FIRST_US * 2 ** this.#silences, SILENT_MAX_US);
    this.#silences += 1;
  }

  #conclude(nowUs: TimeUs, size: number): void {
    this.#stage = "rest";
    this.#settle(size);
    const pause = RAISE_US[Math.min(this.#raises, RAISE_US.length - 1)] as number;
    const whole = size >= this.#sizeMax;
    this.#againUs = whole ? NEVER : nowUs + (this.#eager ? 0 : pause);
    if (!whole && !this.#eager) this.#raises += 1;
    this.#eager = false;
  }

  /** Packets of `size` pass. */
  #settle(size: number): void {
    if (size < this.size) this.#raises = 0;
    this.#doubted = false;
    this.state = "confirmed";
    this.size = size;
    this.#silences = 0;
  }
}
