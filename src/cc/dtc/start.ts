/**
 * When to leave START: at the first of four signs that the window has found the path's capacity.
 *
 *   dispersion  packets arrive more slowly than they were sent, and no faster than a round ago
 *   delay       the queue is longer than HyStart would take (RFC 9406)
 *   growth      three rounds that brought less than a quarter more rate
 *   loss        more than random loss ever is, or any that matters where a queue is seen
 */
import type { AckInfo } from "../controller.ts";
import type { DeliveredCurve, Train } from "./delivered-curve.ts";
import type { LossResponse } from "./loss-response.ts";

/** A train shorter than this says more of the peer's timers than of the path. */
const TRAIN_MIN_US = 10_000;
const TRAIN_SRTTS = 0.5;
const TRAIN_PACKETS = 8;
/** A train arrives this much slower than it was sent, in proportion and at the least. */
const SPREAD = 1.25;
const SPREAD_MIN_US = 2_000;
/**
 * Another train of a later round is "no faster" below this ratio; START doubles each round. While the window does not
 * fill the path there are pauses between the bursts, which make a train look up to a quarter too slow, and a
 * little less so each round: at 1.25 START ended there.
 */
const SAME_RATE = 1.08;
/** RFC 9406 section 4.3: MIN_RTT_THRESH, MAX_RTT_THRESH, MIN_RTT_DIVISOR. */
const DELAY_MIN_US = 4_000;
const DELAY_MAX_US = 16_000;
const DELAY_DIVISOR = 8;
/** Three acks in a row, at four a round trip: as late as eight samples of RFC 9406 when every packet is acked. */
const DELAY_ACKS = 3;
/** Rounds of less than a quarter more that mean "full" (as BBR, draft-ietf-ccwg-bbr section 5.3.1.2). */
const GROWTH = 1.25;
const GROWTH_ROUNDS = 3;

/** Loss beside a queue (BBRv3's threshold), and loss alone: `LossResponse` tolerates no more as random. */
const LOSS_QUEUED = 0.02;
const LOSS_QUEUED_PACKETS = 3;
const LOSS_ALONE = 0.1;
const LOSS_ALONE_PACKETS = 10;

export class Start {
  /** The fastest that a span of half a round trip delivered, octets per microsecond. */
  rate = 0;
  readonly #train: Train = { receivedSpanUs: 0, sentSpanUs: 0, bytes: 0, firstSentUs: 0 };
  /** A slow train seen: its rate, and the round it was seen in. */
  #slowRate = 0;
  #slowRound = -1;
  #delayedAcks = 0;
  #fullRate = 0;
  #fullRounds = 0;

  /** `queueUs`: by the smallest round trip of this ack. True: leave START with a window for `rate`. */
  onAck(ack: AckInfo, curve: DeliveredCurve, round: number, mssBytes: number): boolean {
    const train = this.#train;
    if (!curve.train(Math.max(TRAIN_MIN_US, TRAIN_SRTTS * ack.srttUs), train)) return false;
    if (train.bytes < TRAIN_PACKETS * mssBytes) return false;
    const rate = train.bytes / train.receivedSpanUs;
    this.rate = Math.max(this.rate, rate);
    return this.#dispersed(train, rate, round);
  }

  delayed(queueUs: number, baseUs: number, targetUs: number): boolean {
    const limitUs = Math.min(Math.max(baseUs / DELAY_DIVISOR, DELAY_MIN_US), DELAY_MAX_US);
    this.#delayedAcks = queueUs > Math.max(limitUs, targetUs) ? this.#delayedAcks + 1 : 0;
    return this.#delayedAcks >= DELAY_ACKS;
  }

  /** A loss was reported. True: it ends START. */
  lost(loss: LossResponse): boolean {
    if (this.doubtful) return loss.exceeds(LOSS_QUEUED, LOSS_QUEUED_PACKETS);
    return loss.exceeds(LOSS_ALONE, LOSS_ALONE_PACKETS);
  }

  /** The last ack saw a queue: wait for the next before growing on. */
  get doubtful(): boolean {
    return this.#delayedAcks > 0;
  }

  /** A round is over in which the window was the limit. True: the rate no longer grows. */
  onRound(): boolean {
    if (this.rate >= GROWTH * this.#fullRate) {
      this.#fullRate = this.rate;
      this.#fullRounds = 0;
      return false;
    }
    this.#fullRounds += 1;
    return this.#fullRounds >= GROWTH_ROUNDS;
  }

  reset(): void {
    this.rate = 0;
    this.#slowRound = -1;
    this.#slowRate = 0;
    this.#delayedAcks = 0;
    this.#fullRate = 0;
    this.#fullRounds = 0;
  }

  #dispersed(train: Train, rate: number, round: number): boolean {
    const { receivedSpanUs, sentSpanUs } = train;
    const spread = receivedSpanUs - sentSpanUs;
    if (receivedSpanUs < SPREAD * sentSpanUs || spread < SPREAD_MIN_US) return false;
    if (this.#slowRound < 0 || rate > SAME_RATE * this.#slowRate) {
      this.#slowRound = round;
      this.#slowRate = rate;
      return false;
    }
    return round > this.#slowRound;
  }
}
