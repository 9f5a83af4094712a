/**
 * A rate that the owner of the link has set, with a circuit breaker (RFC 8084) in place of congestion
 * control: heavy loss that lasts takes the rate to a tenth; it comes back by doubling. Only for links
 * whose capacity is one's own.
 */
import type { AckInfo, CongestionController, LossInfo, PathReset, SentInfo } from "./controller.ts";

/** The window serves as a limit for a path that no longer answers, no more: two round trips' worth. */
const CWND_RTTS = 2;
const CWND_MIN_SEGMENTS = 10;
/** Round trip reckoned with before the first sample. */
const INITIAL_RTT_US = 200_000;
/** The breaker opens after this long with this much loss, and leaves this part of the rate. */
const BREAK_AFTER_US = 5_000_000;
const BREAK_LOSS = 0.1;
const BROKEN_RATE = 0.1;
/** Loss is measured over periods; one with fewer packets says nothing. */
const PERIOD_US = 1_000_000;
const PERIOD_PACKETS_MIN = 10;

export class Fixed implements CongestionController {
  readonly name = "fixed";
  readonly answersMarks = false;
  readonly phase = "run";
  readonly drain = "none";
  readonly starting = false;
  readonly #mssBytes: number;
  readonly #rate: number;
  /** Part of the rate in use, 1 unless the breaker has opened. */
  #share = 1;
  #srttUs = INITIAL_RTT_US;
  #periodUs = -1;
  #acked = 0;
  #lost = 0;
  /** Since when every period had heavy loss; -1: the last one had not. */
  #heavySinceUs = -1;
  #restoreUs = 0;

  constructor(mssBytes: number, rateBitsPerSecond: number) {
    this.#mssBytes = mssBytes;
    this.#rate = rateBitsPerSecond / 8_000_000;
  }

  get pacingRate(): number {
    return this.#rate * this.#share;
  }

  get cwndBytes(): number {
    const bytes = CWND_RTTS * this.pacingRate * this.#srttUs;
    return Math.max(bytes, CWND_MIN_SEGMENTS * this.#mssBytes);
  }

  onSent(_sent: SentInfo): void {}

  onAck(ack: AckInfo): void {
    this.#srttUs = ack.srttUs;
    this.#acked += ack.ackedPackets;
    this.#judge(ack.nowUs);
  }

  onLoss(loss: LossInfo): void {
    this.#lost += loss.lostPackets;
    this.#judge(loss.nowUs);
  }

  onSpuriousLoss(_nowUs: number, packets: number): void {
    this.#lost = Math.max(0, this.#lost - packets);
  }

  onPathReset(_nowUs: number, reason: PathReset): void {
    if (reason === "absence") return;
    this.#srttUs = INITIAL_RTT_US;
    this.#share = 1;
    this.#periodUs = -1;
    this.#heavySinceUs = -1;
    this.#acked = 0;
    this.#lost = 0;
  }

  beginDrain(_nowUs: number): void {}

  #judge(nowUs: number): void {
    if (this.#periodUs < 0) this.#periodUs = nowUs;
    const packets = this.#acked + this.#lost;
    if (nowUs - this.#periodUs < PERIOD_US || packets < PERIOD_PACKETS_MIN) return;
    const heavy = this.#lost > BREAK_LOSS * packets;
    if (!heavy) this.#heavySinceUs = -1;
    else if (this.#heavySinceUs < 0) this.#heavySinceUs = this.#periodUs;
    if (heavy && nowUs - this.#heavySinceUs >= BREAK_AFTER_US) {
      this.#share = BROKEN_RATE;
      this.#restoreUs = nowUs + BREAK_AFTER_US;
    } else if (!heavy && this.#share < 1 && nowUs >= this.#restoreUs) {
      this.#share = Math.min(1, 2 * this.#share);
      this.#restoreUs = nowUs + BREAK_AFTER_US;
    }
    this.#periodUs = nowUs;
    this.#acked = 0;
    this.#lost = 0;
  }
}
