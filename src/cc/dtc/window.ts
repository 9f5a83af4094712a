/** The congestion window of delay-target control, octets: its bounds, and how fast it may move. */

/** RFC 9002 section 7.2; a smaller minimum would leave one packet an ack interval. */
const INITIAL_SEGMENTS = 10;
const MIN_SEGMENTS = 4;
/**
 * alpha = max(2, sqrt(packets in 40 ms) / 2) packets: Copa's 1/delta of 2, and convergence of fast flows.
 * By time and not by window: rates of flows that share a bottleneck are as their alphas, so alpha must
 * not depend on the round trip.
 */
const ALPHA_SEGMENTS = 2;
const ALPHA_SQRT = 0.5;
const ALPHA_SPAN_US = 40_000;
const ALPHA_RTT_MIN_US = 500;
/** Velocity and all, a round adds no more than this part of the window. */
const ALPHA_MAX = 0.25;
/** A window that moved less than this within a round is steady. */
const STEADY = 0.05;
/** After so long without use a window halves, down to the initial one (in the manner of RFC 7661). */
const IDLE_HALVING_US = 10_000_000;

/**
 * Of the window that a path had before it was away, START begins with this part, paced (in the manner of
 * draft-ietf-tsvwg-careful-resume): a round trip from the former rate, and no overload where half of that is left.
 */
const RESUME = 0.5;

export class Window {
  bytes: number;
  /** When the round began. */
  roundBytes: number;
  readonly #mssBytes: number;
  /** The last window that was found, not guessed; 0: unknown. */
  #formerBytes = 0;

  constructor(mssBytes: number) {
    this.#mssBytes = mssBytes;
    this.bytes = INITIAL_SEGMENTS * mssBytes;
    this.roundBytes = this.bytes;
  }

  get minBytes(): number {
    return MIN_SEGMENTS * this.#mssBytes;
  }

  /** Moved by little since the round began. */
  get steady(): boolean {
    return Math.abs(this.bytes - this.roundBytes) < STEADY * this.bytes;
  }

  /** Since the round began. */
  get grownBytes(): number {
    return Math.max(0, this.bytes - this.roundBytes);
  }

  /** Nothing is known of the path. */
  begin(): void {
    this.bytes = INITIAL_SEGMENTS * this.#mssBytes;
  }

  /** What a path held that was away, 0: nothing is known of it; `found`: it was more than a guess. */
  resume(formerBytes: number, found: boolean): void {
    if (found || formerBytes === 0) this.#formerBytes = formerBytes;
    this.bytes = Math.max(this.bytes, RESUME * this.#formerBytes);
  }

  set(bytes: number): void {
    this.bytes = Math.max(bytes, this.minBytes);
  }

  /** The path holds so much more than before; of that, no more than the window already is. */
  stretch(moreBytes: number): void {
    this.set(this.bytes + Math.min(moreBytes, this.bytes));
  }

  /** No more than `bytes`, which fill the path; 0: unknown. */
  fit(bytes: number): void {
    if (bytes > 0) this.set(Math.min(this.bytes, bytes));
  }

  /** The window was not used for `idleUs`. True: nothing is left of it, as if the path were new. */
  onIdle(idleUs: number): boolean {
    if (idleUs < IDLE_HALVING_US) return false;
    const initial = INITIAL_SEGMENTS * this.#mssBytes;
    const halved = this.bytes / 2 ** Math.floor(idleUs / IDLE_HALVING_US);
    const spent = this.bytes > initial && halved <= initial;
    this.bytes = Math.min(this.bytes, Math.max(halved, initial));
    return spent;
  }

  /** What the law adds to what was delivered. `turnUs`: the round trip. */
  alphaBytes(turnUs: number, velocity: number): number {
    const spans = ALPHA_SPAN_US / Math.max(turnUs, ALPHA_RTT_MIN_US);
    const packets = (this.bytes * spans) / this.#mssBytes;
    const alpha = Math.max(ALPHA_SEGMENTS, ALPHA_SQRT * Math.sqrt(packets)) * this.#mssBytes;
    if (velocity === 1) return alpha;
    return Math.max(alpha, Math.min(alpha * velocity, ALPHA_MAX * this.bytes));
  }
}
