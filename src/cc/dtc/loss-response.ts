/**
 * What loss means for the window, judged once a round.
 *
 * A little loss says nothing (radio links lose at random). More of it takes the window down to what is
 * delivered. If it comes back at once, without a queue that the law would see, the path has a policer or
 * a short buffer, or loses at random: a cap just below what is delivered tells which. If loss goes on
 * below the cap it does not depend on our rate and is tolerated from then on; if it ends, the cap stays
 * and is lifted slowly.
 */

/** BBRv3's threshold (draft-ietf-ccwg-bbr, LossThresh). */
const LOSS_MAX = 0.02;
const LOSS_PACKETS_MIN = 3;
/** Whatever was lost, a round takes no more than this off the window (RFC 9002 section 7.3.2). */
const BETA_MIN = 0.5;
/** A second lossy round within this many rounds sets the cap. */
const CAP_WITHIN_ROUNDS = 12;
/** The part of what is delivered that the cap leaves. */
const CAP = 0.97;
/** Packets sent before the cap are lost for two rounds more. */
const CAP_SETTLE_ROUNDS = 2;
/** The cap stands this long, then rises by a part each round, and is gone after clean rounds. */
const CAP_HOLD_US = 2_000_000;
const CAP_RISE = 1.02;
const CAP_CLEAN_ROUNDS = 40;
/** Packets under the cap that prove the point, and the part of the loss before that must remain. */
const PROOF_PACKETS = 100;
const PROOF_LOSS = 0.5;
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
  #lostPackets = 0;
  #packets = 0;
  #rounds = 0;
  /** The round of the last cut, and of the cap. */
  #cutRound = Number.NEGATIVE_INFINITY;
  #capRound = 0;
  #capUntilUs = 0;
  #cleanRounds = 0;
  /** Loss before the cap, and what is seen under it. */
  #lossBefore = 0;
  #proofLost = 0;
  #proofPackets = 0;
  #forgetUs = 0;

  onAcked(packets: number): void {
    this.#packets += packets;
  }

  onLost(packets: number): void {
    this.#lostPackets += packets;
    this.#packets += packets;
  }

  /** Loss of the round so far is above what is tolerated, or above `share` if that is more. */
  exceeds(share: number, packets: number): boolean {
    const tolerated = Math.max(LOSS_MAX + RANDOM_MARGIN * this.randomLoss, share);
    return this.#lostPackets >= packets && this.#lostPackets > tolerated * this.#packets;
  }

  /**
   * Ends the round; what the window is to be multiplied with, 1 when nothing is wrong.
   * `queued`: there is a queue that the law itself deals with, so no cap is needed.
   */
  onRound(nowUs: number, windowBytes: number, queued: boolean): number {
    this.#rounds += 1;
    const excessive = this.exceeds(0, LOSS_PACKETS_MIN);
    this.#forget(nowUs);
    if (this.capBytes < Number.POSITIVE_INFINITY) this.#underCap(nowUs, excessive);
    // What was lost in the round after a cut had been sent before it.
    const again = this.#rounds - this.#cutRound;
    const factor = excessive && again > 1 ? this.#cut(nowUs, windowBytes, queued, again) : 1;
    this.#lostPackets = 0;
    this.#packets = 0;
    return factor;
  }

  reset(): void {
    this.capBytes = Number.POSITIVE_INFINITY;
    this.randomLoss = 0;
    this.#lostPackets = 0;
    this.#packets = 0;
    this.#cutRound = Number.NEGATIVE_INFINITY;
  }

  #cut(nowUs: number, windowBytes: number, queued: boolean, again: number): number {
    this.#cutRound = this.#rounds;
    const lossShare = this.#lostPackets / this.#packets;
    const factor = Math.max(1 - lossShare, BETA_MIN);
    if (queued || again > CAP_WITHIN_ROUNDS) return factor;
    this.capBytes = CAP * factor * windowBytes;
    this.#capRound = this.#rounds;
    this.#capUntilUs = nowUs + CAP_HOLD_US;
    this.#cleanRounds = 0;
    this.#lossBefore = lossShare;
    this.#proofLost = 0;
    this.#proofPackets = 0;
    return factor;
  }

  #underCap(nowUs: number, excessive: boolean): void {
    if (this.#rounds - this.#capRound <= CAP_SETTLE_ROUNDS) return;
    this.#proofLost += this.#lostPackets;
    this.#proofPackets += this.#packets;
    if (nowUs < this.#capUntilUs) {
      this.#prove(nowUs);
      return;
    }
    if (excessive) {
      this.#cleanRounds = 0;
      return;
    }
    this.capBytes *= CAP_RISE;
    this.#cleanRounds += 1;
    if (this.#cleanRounds >= CAP_CLEAN_ROUNDS) this.capBytes = Number.POSITIVE_INFINITY;
  }

  #prove(nowUs: number): void {
    if (this.#proofPackets < PROOF_PACKETS) return;
    const share = this.#proofLost / this.#proofPackets;
    if (share > PROOF_LOSS * this.#lossBefore) {
      this.randomLoss = Math.min(Math.max(this.randomLoss, share), RANDOM_MAX);
      this.#forgetUs = nowUs + RANDOM_KEEP_US;
      this.capBytes = Number.POSITIVE_INFINITY;
    }
  }

  /** What was learnt long ago may no longer be so: it fades, and is learnt again if it still is. */
  #forget(nowUs: number): void {
    if (this.randomLoss === 0 || nowUs < this.#forgetUs) return;
    this.randomLoss *= RANDOM_DECAY;
    this.#forgetUs = nowUs + RANDOM_DECAY_US;
    if (this.randomLoss < LOSS_MAX / 10) this.randomLoss = 0;
  }
}
