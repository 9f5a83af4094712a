/**
 * The delivered curve: how many octets the peer had received at which moment of its own clock, and when
 * the newest of them had been sent. One point a feedback message, linear in between; free of whatever
 * happens to feedback on its way back.
 *
 * A ring of typed arrays: with the shortest feedback interval of 1 ms it reaches back a second, with the
 * usual quarter of a round trip more than a hundred round trips.
 */

/** Points kept; a power of two. */
const POINTS = 1024;
const MASK = POINTS - 1;

export class DeliveredCurve {
  readonly #receivedUs = new Float64Array(POINTS);
  readonly #bytes = new Float64Array(POINTS);
  readonly #sentUs = new Float64Array(POINTS);
  /** Points ever added; the newest is `#count - 1`. */
  #count = 0;

  /**
   * Adds a point. `receivedUs` never runs back; a report that another one overtook has the same
   * moment with more octets and replaces the last point.
   */
  add(receivedUs: number, bytes: number, sentUs: number): void {
    const last = (this.#count - 1) & MASK;
    const same = this.#count > 0 && receivedUs <= (this.#receivedUs[last] as number);
    const at = same ? last : this.#count & MASK;
    if (!same) this.#count += 1;
    this.#receivedUs[at] = same ? (this.#receivedUs[last] as number) : receivedUs;
    this.#bytes[at] = bytes;
    this.#sentUs[at] = sentUs;
  }

  /** Octets delivered during the `spanUs` before the newest point; -1 when the curve is shorter. */
  deliveredWithin(spanUs: number): number {
    if (this.#count < 2) return -1;
    const newest = (this.#count - 1) & MASK;
    const fromUs = (this.#receivedUs[newest] as number) - spanUs;
    const after = this.#firstAfter(fromUs);
    if (after <= this.#oldest()) return -1;
    const b = after & MASK;
    const a = (after - 1) & MASK;
    const aUs = this.#receivedUs[a] as number;
    const share = (fromUs - aUs) / ((this.#receivedUs[b] as number) - aUs);
    const bytesA = this.#bytes[a] as number;
    const atFrom = bytesA + share * ((this.#bytes[b] as number) - bytesA);
    return (this.#bytes[newest] as number) - atFrom;
  }

  /**
   * The train of packets that arrived during about the last `spanUs` (at least that long): how much
   * longer it took to arrive than it had taken to send, and at what rate it arrived.
   */
  train(spanUs: number, into: Train): boolean {
    if (this.#count < 2) return false;
    const newest = (this.#count - 1) & MASK;
    const from = this.#firstAfter((this.#receivedUs[newest] as number) - spanUs) - 1;
    if (from < this.#oldest()) return false;
    const a = from & MASK;
    into.receivedSpanUs = (this.#receivedUs[newest] as number) - (this.#receivedUs[a] as number);
    into.sentSpanUs = (this.#sentUs[newest] as number) - (this.#sentUs[a] as number);
    into.bytes = (this.#bytes[newest] as number) - (this.#bytes[a] as number);
    into.firstSentUs = this.#sentUs[a] as number;
    return true;
  }

  clear(): void {
    this.#count = 0;
  }

  #oldest(): number {
    return Math.max(0, this.#count - POINTS);
  }

  /** Index of the first point later than `us`; binary search, the newest point is always later. */
  #firstAfter(us: number): number {
    let low = this.#oldest();
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#receivedUs[middle & MASK] as number) > us) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** What `train` found. Reused by the caller. */
export interface Train {
  receivedSpanUs: number;
  sentSpanUs: number;
  bytes: number;
  /** When the packet before its first was sent. */
  firstSentUs: number;
}
