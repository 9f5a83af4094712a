/**
 * Controlled delay (CoDel, RFC 8289) for many buckets at once: says of each packet that is about to
 * leave whether its sender must hear of congestion. It looks only at how long the packet waited; it
 * neither holds packets nor knows how the sender will hear (a mark or a loss).
 */
import { MS, SECOND, type TimeUs } from "../../core/time.ts";
import { PACKET_OCTETS, type Tuning } from "./tuning.ts";
import { BUCKETS } from "./waiting.ts";

/** A bucket signalled within this many intervals goes on where it was (RFC 8289 section 5.5). */
const MEMORY_INTERVALS = 16;
/**
 * A sender that lets marks pass unheard: so far above the target for so long, and it is told by
 * losses until the bucket is below the target again (RFC 3168 section 7, RFC 7567 section 4.2.1).
 */
const OVERLOAD_US = 50 * MS;
const OVERLOAD_AFTER_US = 5 * SECOND;
/** In place of a moment that has not come. */
const NEVER_SINCE = -1;

export class Codel {
  readonly #tuning: Tuning;
  /** When a bucket that is above the target must act; NEVER_SINCE: it is below. */
  readonly #actUs = new Float64Array(BUCKETS).fill(NEVER_SINCE);
  readonly #nextUs = new Float64Array(BUCKETS);
  readonly #count = new Int32Array(BUCKETS);
  readonly #lastCount = new Int32Array(BUCKETS);
  readonly #signalling = new Uint8Array(BUCKETS);
  /** Since when a bucket is far above the target. */
  readonly #overSinceUs = new Float64Array(BUCKETS).fill(NEVER_SINCE);

  constructor(tuning: Tuning) {
    this.#tuning = tuning;
  }

  /**
   * Whether the sender of the packet that leaves `bucket` now must be told. Once a packet.
   *
   * @param sojournUs - how long the packet has waited
   * @param bytesBehind - octets that wait behind it, in all buckets: less than a packet is no queue
   */
  signals(bucket: number, nowUs: TimeUs, sojournUs: number, bytesBehind: number): boolean {
    if (!this.#mustAct(bucket, nowUs, sojournUs, bytesBehind)) {
      this.#signalling[bucket] = 0;
      return false;
    }
    if (this.#signalling[bucket] === 0) {
      this.#begin(bucket, nowUs);
      return true;
    }
    const nextUs = this.#nextUs[bucket] as number;
    if (nowUs < nextUs) return false;
    const count = (this.#count[bucket] as number) + 1;
    this.#count[bucket] = count;
    this.#nextUs[bucket] = nextUs + this.#spacingUs(count);
    return true;
  }

  /** Whether marks have proved useless for this bucket. */
  overloaded(bucket: number, nowUs: TimeUs): boolean {
    const sinceUs = this.#overSinceUs[bucket] as number;
    return sinceUs !== NEVER_SINCE && nowUs - sinceUs >= OVERLOAD_AFTER_US;
  }

  /** The bucket has no packet left. */
  emptied(bucket: number): void {
    this.#actUs[bucket] = NEVER_SINCE;
    this.#overSinceUs[bucket] = NEVER_SINCE;
    this.#signalling[bucket] = 0;
  }

  /** A packet was lost to the hard limit: signals are too rare. */
  hasten(bucket: number): void {
    this.#count[bucket] = (this.#count[bucket] as number) + 1;
  }

  /** Above the target for a whole interval. */
  #mustAct(bucket: number, nowUs: TimeUs, sojournUs: number, bytesBehind: number): boolean {
    const { targetUs, intervalUs, starting } = this.#tuning;
    if (sojournUs < targetUs || bytesBehind <= PACKET_OCTETS || starting) {
      this.#actUs[bucket] = NEVER_SINCE;
      this.#overSinceUs[bucket] = NEVER_SINCE;
      return false;
    }
    if (sojournUs < targetUs + OVERLOAD_US) this.#overSinceUs[bucket] = NEVER_SINCE;
    else if (this.#overSinceUs[bucket] === NEVER_SINCE) this.#overSinceUs[bucket] = nowUs;
    const actUs = this.#actUs[bucket] as number;
    if (actUs !== NEVER_SINCE) return nowUs >= actUs;
    this.#actUs[bucket] = nowUs + intervalUs;
    return false;
  }

  /** RFC 8289 section 5.5: takes up the rate of signals at which the last episode ended. */
  #begin(bucket: number, nowUs: TimeUs): void {
    const grown = (this.#count[bucket] as number) - (this.#lastCount[bucket] as number);
    const sinceUs = nowUs - (this.#nextUs[bucket] as number);
    const recent = sinceUs < MEMORY_INTERVALS * this.#tuning.intervalUs;
    const count = grown > 1 && recent ? grown : 1;
    this.#count[bucket] = count;
    this.#lastCount[bucket] = count;
    this.#nextUs[bucket] = nowUs + this.#spacingUs(count);
    this.#signalling[bucket] = 1;
  }

  /** The control law: signals come closer as the square root of their number. */
  #spacingUs(count: number): number {
    return this.#tuning.intervalUs / Math.sqrt(count);
  }
}
