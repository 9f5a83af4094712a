/**
 * What loss means for the window, judged once a round.
 *
 * A little loss says nothing (radio links lose at random). More of it cuts the window, down to what is
 * delivered but not below beta. Loss without a queue is a policer, a shallow buffer or random: a cap
 * just under the delivered rate tells which. If loss goes on below the cap it does not depend on our
 * rate and is tolerated from then on; if it ends, the cap stays and is lifted slowly.
 */

/** BBRv3's threshold (draft-ietf-ccwg-bbr, LossThresh) and, as there and in CUBIC, beta 0.7. */
const LOSS_MAX = 0.02;
const LOSS_PACKETS_MIN = 3;
const BETA = 0.7;
/** So much loss is no accident: as a loss episode of NewReno. */
const LOSS_HEAVY = 0.2;
const BETA_HEAVY = 0.5;
/** Rounds of loss without a queue before a cap is set, and the part of the delivered rate it leaves. */
const CAP_ROUNDS = 2;
const CAP = 0.97;
/** The cap stands this long, then rises by a part each round, and is gone after clean rounds. */
const CAP_HOLD_US = 2_000_000;
const CAP_RISE = 1.02;
const CAP_CLEAN_ROUNDS = 40;
/** Packets under the cap that prove the point. */
const PROOF_PACKETS = 100;
/** Loss tolerated as random: at the most, and how it is forgotten once it is old. */
const RANDOM_MAX = 0.1;
const RANDOM_MARGIN = 1.5;
const RANDOM_KEEP_US = 15_000_000;
const RANDOM_DECAY = 0.9;
const SECOND_US = 1_000_000;

export interface LossRound {
  readonly nowUs: number;
  /** The queue is shorter than half of what is aimed for. */
  readonly queueShort: boolean;
  /** What the path delivered in this round times its base round trip and a quarter of the target. */
  readonly deliveredBytes: number;
}

export class LossResponse {
  /** The window may not exceed this. */
  capBytes = Number.POSITIVE_INFINITY;
  /** Part of the packets that is lost whatever we do. */
  randomLoss = 0;
  /** Loss of the last round that had any acknowledgement, 0..1. */
  ratio = 0;
  #lostPackets = 0;
  #packets = 0;
  /** The round before was cut. */
  #cut = false;
  #shortRounds = 0;
  #capUntilUs = 0;
  #cleanRounds = 0;
  /** Loss before the cap, and what is seen under it. */
  #lossBefore = 0;
  #proofLost = 0;
  #proofPackets = 0;
  #randomUs = 0;

  onAcked(packets: number): void {
    this.#packets += packets;
  }

  onLost(packets: number): void {
    this.#lostPackets += packets;
    this.#packets += packets;
  }

  /** Loss of the round so far is above what is tolerated. */
  get excessive(): boolean {
    const tolerated = LOSS_MAX + RANDOM_MARGIN * this.randomLoss;
    return this.#lostPackets >= LOSS_PACKETS_MIN && this.#lostPackets > tolerated * this.#packets;
  }

  /** Ends the round. What the window is to be multiplied with at the least: 1 when nothing is wrong. */
  onRound(round: LossRound): number {
    const excessive = this.excessive;
    this.ratio = this.#packets > 0 ? this.#lostPackets / this.#packets : 0;
    this.#forget(round.nowUs);
    if (this.capBytes < Number.POSITIVE_INFINITY) this.#underCap(round.nowUs, excessive);
    const factor = excessive && !this.#cut ? this.#respond(round) : 1;
    this.#cut = factor < 1;
    if (!excessive) this.#shortRounds = 0;
    this.#lostPackets = 0;
    this.#packets = 0;
    return factor;
  }

  reset(): void {
    this.capBytes = Number.POSITIVE_INFINITY;
    this.randomLoss = 0;
    this.#lostPackets = 0;
    this.#packets = 0;
    this.#cut = false;
    this.#shortRounds = 0;
  }

  #respond(round: LossRound): number {
    this.#shortRounds = round.queueShort ? this.#shortRounds + 1 : 0;
    if (this.#shortRounds >= CAP_ROUNDS) {
      this.capBytes = CAP * round.deliveredBytes;
      this.#capUntilUs = round.nowUs + CAP_HOLD_US;
      this.#cleanRounds = 0;
      this.#lossBefore = this.ratio;
      this.#proofLost = 0;
      this.#proofPackets = 0;
      this.#shortRounds = 0;
    }
    return this.ratio >= LOSS_HEAVY ? BETA_HEAVY : BETA;
  }

  #underCap(nowUs: number, excessive: boolean): void {
    this.#proofLost += this.#lostPackets;
    this.#proofPackets += this.#packets;
    if (this.#proofPackets >= PROOF_PACKETS && nowUs < this.#capUntilUs) {
      const ratio = this.#proofLost / this.#proofPackets;
      if (ratio > this.#lossBefore / 2) {
        this.randomLoss = Math.min(Math.max(this.randomLoss, ratio), RANDOM_MAX);
        this.#randomUs = nowUs;
        this.capBytes = Number.POSITIVE_INFINITY;
        return;
      }
    }
    if (excessive || nowUs < this.#capUntilUs) {
      this.#cleanRounds = 0;
      return;
    }
    this.capBytes *= CAP_RISE;
    this.#cleanRounds += 1;
    if (this.#cleanRounds >= CAP_CLEAN_ROUNDS) this.capBytes = Number.POSITIVE_INFINITY;
  }

  /** What was learnt long ago may no longer be so: it fades, and is learnt again if it still is. */
  #forget(nowUs: number): void {
    if (this.randomLoss === 0 || nowUs - this.#randomUs < RANDOM_KEEP_US) return;
    this.randomLoss *= RANDOM_DECAY;
    this.#randomUs = nowUs - RANDOM_KEEP_US + SECOND_US;
    if (this.randomLoss < LOSS_MAX / 10) this.randomLoss = 0;
  }
}
