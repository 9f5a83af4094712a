/**
 * What loss means for the window, judged over stretches of packets that are long enough to tell.
 *
 * A little loss says nothing (radio links lose at random). More of it takes the window down to what is
 * delivered. If it comes back soon, without a queue that the law would see, the path has a policer or a
 * short buffer, or loses at random: a cap just below what is delivered tells which. If loss goes on below
 * the cap it does not depend on our rate and is tolerated from then on; if it ends, the cap stays and is
 * lifted slowly.
 */

/** BBRv3's threshold (draft-ietf-ccwg-bbr, LossThresh). */
const LOSS_MAX = 0.02;
const LOSS_PACKETS_MIN = 3;
/**
 * Packets of a stretch: 2 % of fewer is one burst of a radio link. Heavy loss is judged by the round.
 */
const STRETCH_PACKETS = 200;
const HEAVY = 0.2;
const HEAVY_PACKETS_MIN = 8;
/** Whatever was lost, no judgement takes more than this off the window (RFC 9002 section 7.3.2). */
const BETA_MIN = 0.5;
/** A second lossy stretch within this many sets the cap; the part of what is delivered that it leaves. */
const CAP_WITHIN_STRETCHES = 4;
const CAP = 0.97;
/** So many lossy stretches below a cap, each with no less than this part of the loss before, are random. */
const STRIKES = 2;
const UNDIMINISHED = 0.5;
/** The cap stands this long, then rises by a part each round, and is gone after clean rounds. */
const CAP_HOLD_US = 2_000_000;
const CAP_RISE = 1.02;
const CAP_CLEAN_ROUNDS = 40;
/** Loss tolerated as random: at the most, with which margin, and how it is forgotten once it is old. */
const RANDOM_MAX = 0.1;
const RANDOM_MARGIN = 1.5;
const RANDOM_KEEP_US = 15_000_000;
const RANDOM_DECAY = 0.9;
const RANDOM_DECAY_US = 1_000_000;

export class LossResponse {
  /** The window may not exceed this. */
  capBytes = Number.POSITIVE_INFINITY;
  /** Part of the packets that is lost whatever we do. */
  randomLoss = 0;
  /** The last stretch lost more than is tolerated. */
  excessive = false;
  #lostPackets = 0;
  #packets = 0;
  /** Of the round to come nothing counts: its packets had been sent before a cut. */
  #skip = false;
  /** Stretches since the last cut. */
  #stretches = Number.POSITIVE_INFINITY;
  #capUntilUs = 0;
  #cleanRounds = 0;
  #strikes = 0;
  #shareBefore = 0;
  #forgetUs = 0;
  readonly #windowMinBytes: number;

  /** @param windowMinBytes - no cap holds a window below this */
  constructor(windowMinBytes: number) {
    this.#windowMinBytes = windowMinBytes;
  }

  onAcked(packets: number): void {
    this.#packets += packets;
  }

  onLost(packets: number): void {
    this.#lostPackets += packets;
    this.#packets += packets;
  }

  /** Loss of the stretch so far is above `share`, by at least `packets`. */
  exceeds(share: number, packets: number): boolean {
    return this.#lostPackets >= packets && this.#lostPackets > share * this.#packets;
  }

  /**
   * Ends a round; what the window is to be multiplied with, 1 when nothing is wrong.
   * `queued`: there is a queue that the law itself deals with, so no cap is needed.
   */
  onRound(nowUs: number, windowBytes: number, queued: boolean): number {
    this.#forget(nowUs);
    this.#lift(nowUs);
    if (this.#skip) {
      this.#skip = false;
      this.#begin();
      return 1;
    }
    const heavy = this.exceeds(HEAVY, HEAVY_PACKETS_MIN);
    if (this.#packets < STRETCH_PACKETS && !heavy) return 1;
    const tolerated = LOSS_MAX + RANDOM_MARGIN * this.randomLoss;
    this.excessive = this.exceeds(tolerated, LOSS_PACKETS_MIN);
    const factor = this.excessive ? this.#respond(nowUs, windowBytes, queued) : 1;
    this.#stretches += 1;
    this.#begin();
    return factor;
  }

  reset(): void {
    this.capBytes = Number.POSITIVE_INFINITY;
    this.randomLoss = 0;
    this.excessive = false;
    this.#skip = false;
    this.#stretches = Number.POSITIVE_INFINITY;
    this.#begin();
  }

  #begin(): void {
    this.#lostPackets = 0;
    this.#packets = 0;
  }

  #respond(nowUs: number, windowBytes: number, queued: boolean): number {
    const share = this.#lostPackets / this.#packets;
    this.#cleanRounds = 0;
    // On a slow path the very next stretch ends when the cap is no longer fresh; it tells all the same.
    const fresh = nowUs < this.#capUntilUs || this.#stretches <= 1;
    const capped = this.capBytes < Number.POSITIVE_INFINITY && fresh;
    const undiminished = share > UNDIMINISHED * this.#shareBefore;
    this.#shareBefore = share;
    this.#strikes = capped && undiminished && share < HEAVY ? this.#strikes + 1 : 0;
    if (this.#strikes >= STRIKES) {
      this.#strikes = 0;
      this.randomLoss = Math.min(Math.max(this.randomLoss, share), RANDOM_MAX);
      this.#forgetUs = nowUs + RANDOM_KEEP_US;
      this.capBytes = Number.POSITIVE_INFINITY;
      this.excessive = false;
      return 1;
    }
    const factor = Math.max(1 - share, BETA_MIN);
    if (!queued && this.#stretches <= CAP_WITHIN_STRETCHES) this.#cap(nowUs, factor * windowBytes);
    this.#stretches = 0;
    this.#skip = true;
    return factor;
  }

  /**
   * A loss that goes on however little is sent is no policer's. A cap that the window cannot obey would tell
   * nothing, and would hold the window there for seconds when the path is well again.
   */
  #cap(nowUs: number, deliveredBytes: number): void {
    const bytes = CAP * deliveredBytes;
    this.capBytes = bytes < this.#windowMinBytes ? Number.POSITIVE_INFINITY : bytes;
    this.#capUntilUs = nowUs + CAP_HOLD_US;
  }

  #lift(nowUs: number): void {
    if (this.capBytes === Number.POSITIVE_INFINITY || nowUs < this.#capUntilUs) return;
    this.capBytes *= CAP_RISE;
    this.#cleanRounds += 1;
    if (this.#cleanRounds >= CAP_CLEAN_ROUNDS) this.capBytes = Number.POSITIVE_INFINITY;
  }

  /** What was learnt long ago may no longer be so: it fades, and is learnt again if it still is. */
  #forget(nowUs: number): void {
    if (this.randomLoss === 0 || nowUs < this.#forgetUs) return;
    this.randomLoss *= RANDOM_DECAY;
    this.#forgetUs = nowUs + RANDOM_DECAY_US;
    if (this.randomLoss < LOSS_MAX / 10) this.randomLoss = 0;
  }
}
