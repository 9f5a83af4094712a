/**
 * CUBIC (RFC 9438) with HyStart as Linux has it: leaves slow start at a delay increase or at a long train
 * of acknowledgements. Windows shrink by proportional rate reduction (RFC 6937).
 */
import { MS, SECOND, type TimeUs } from "../../src/core/time.ts";
import type { AckSample, Scoreboard } from "./scoreboard.ts";
import type { TcpLaw, TcpState } from "./tcp-law.ts";

const C = 0.4;
const BETA = 0.7;
const INITIAL_CWND = 10;
const HYSTART_CWND_MIN = 16;
const HYSTART_SAMPLES = 8;
const HYSTART_DELAY_MIN_US = 4 * MS;
const HYSTART_DELAY_MAX_US = 16 * MS;
const HYSTART_ACK_GAP_US = 2 * MS;

export class TcpCubic implements TcpLaw {
  cwnd = INITIAL_CWND;
  ssthresh = Number.POSITIVE_INFINITY;
  readonly pacingRate = Number.POSITIVE_INFINITY;
  #lastMax = 0;
  #originPoint = 0;
  #k = 0;
  #epochUs: TimeUs = -1;
  #renoCwnd = 0;
  #delayMinUs = Number.POSITIVE_INFINITY;
  #prior = { cwnd: 0, ssthresh: 0, lastMax: 0 };
  /** Proportional rate reduction. */
  #recoveryCwnd = 0;
  #deliveredInRecovery = 0;
  #sentInRecovery = 0;
  /** HyStart. */
  #roundEnd = 0;
  #roundStartUs: TimeUs = 0;
  #lastAckUs: TimeUs = 0;
  #roundRttUs = Number.POSITIVE_INFINITY;
  #roundSamples = 0;

  get slowStart(): boolean {
    return this.cwnd < this.ssthresh;
  }

  onAck(
    sample: AckSample,
    board: Scoreboard,
    state: TcpState,
    srttUs: number,
    windowLimited: boolean,
  ): void {
    if (sample.rttUs >= 0) this.#delayMinUs = Math.min(this.#delayMinUs, sample.rttUs);
    if (state === "recovery") {
      this.#reduce(sample, board);
      return;
    }
    if (sample.acked === 0) return;
    if (this.slowStart) this.#hystart(sample, board, srttUs);
    if (!windowLimited) return;
    if (this.slowStart) {
      this.cwnd = Math.min(this.cwnd + sample.acked, Math.max(this.ssthresh, this.cwnd));
      return;
    }
    this.#grow(sample);
  }

  onRecovery(nowUs: TimeUs, board: Scoreboard): void {
    this.#shrink(nowUs);
    this.#recoveryCwnd = Math.max(board.inFlight + board.lostOut, 1);
    this.#deliveredInRecovery = 0;
    this.#sentInRecovery = 0;
  }

  onMark(nowUs: TimeUs): void {
    this.#shrink(nowUs);
    this.cwnd = this.ssthresh;
  }

  onTimeout(nowUs: TimeUs): void {
    this.#shrink(nowUs);
    this.cwnd = 1;
  }

  onSent(state: TcpState): void {
    if (state === "recovery") this.#sentInRecovery += 1;
  }

  onRecovered(): void {
    if (this.ssthresh !== Number.POSITIVE_INFINITY) this.cwnd = this.ssthresh;
  }

  undo(): void {
    this.cwnd = Math.max(this.cwnd, this.#prior.cwnd);
    this.ssthresh = Math.max(this.ssthresh, this.#prior.ssthresh);
    this.#lastMax = this.#prior.lastMax;
    this.#epochUs = -1;
  }

  /** RFC 9438 sections 4.6 and 4.7. */
  #shrink(_nowUs: TimeUs): void {
    this.#prior = { cwnd: this.cwnd, ssthresh: this.ssthresh, lastMax: this.#lastMax };
    this.#epochUs = -1;
    this.#lastMax = this.cwnd < this.#lastMax ? (this.cwnd * (1 + BETA)) / 2 : this.cwnd;
    this.ssthresh = Math.max(this.cwnd * BETA, 2);
  }

  /** RFC 6937. */
  #reduce(sample: AckSample, board: Scoreboard): void {
    this.#deliveredInRecovery += sample.delivered;
    const inFlight = board.inFlight;
    let send: number;
    if (inFlight > this.ssthresh) {
      const share = (this.#deliveredInRecovery * this.ssthresh) / this.#recoveryCwnd;
      send = Math.ceil(share) - this.#sentInRecovery;
    } else {
      const owed = Math.max(this.#deliveredInRecovery - this.#sentInRecovery, sample.delivered) + 1;
      send = Math.min(this.ssthresh - inFlight, owed);
    }
    this.cwnd = inFlight + Math.max(send, this.#sentInRecovery === 0 ? 1 : 0);
  }

  /** RFC 9438 sections 4.2 to 4.5. */
  #grow(sample: AckSample): void {
    const { nowUs } = sample;
    if (this.#epochUs < 0) {
      this.#epochUs = nowUs;
      this.#renoCwnd = this.cwnd;
      const below = this.#lastMax > this.cwnd;
      this.#k = below ? Math.cbrt((this.#lastMax - this.cwnd) / C) : 0;
      this.#originPoint = below ? this.#lastMax : this.cwnd;
    }
    const seconds = (nowUs - this.#epochUs + this.#delayMinUs) / SECOND;
    const target = this.#originPoint + C * (seconds - this.#k) ** 3;
    let perSegment = target > this.cwnd ? this.cwnd / (target - this.cwnd) : 100 * this.cwnd;
    if (this.#lastMax === 0) perSegment = Math.min(perSegment, 20);
    const alpha = (3 * (1 - BETA)) / (1 + BETA);
    this.#renoCwnd += (alpha * sample.acked) / this.cwnd;
    if (this.#renoCwnd > this.cwnd) {
      perSegment = Math.min(perSegment, this.cwnd / (this.#renoCwnd - this.cwnd));
    }
    this.cwnd += sample.acked / Math.max(perSegment, 2);
  }

  #hystart(sample: AckSample, board: Scoreboard, srttUs: number): void {
    const { nowUs, rttUs } = sample;
    if (board.una > this.#roundEnd) {
      this.#roundEnd = board.next;
      this.#roundStartUs = nowUs;
      this.#lastAckUs = nowUs;
      this.#roundRttUs = Number.POSITIVE_INFINITY;
      this.#roundSamples = 0;
    }
    if (this.cwnd < HYSTART_CWND_MIN || rttUs < 0) return;
    if (nowUs - this.#lastAckUs <= HYSTART_ACK_GAP_US) {
      this.#lastAckUs = nowUs;
      // Without a pacer below, half the minimum is enough.
      const segmentUs = srttUs / (2 * this.cwnd);
      const burstUs = Math.min(1 * MS, 4 * 44 * segmentUs);
      if (nowUs - this.#roundStartUs > (this.#delayMinUs + burstUs) / 2) this.ssthresh = this.cwnd;
    }
    this.#roundRttUs = Math.min(this.#roundRttUs, rttUs);
    this.#roundSamples += 1;
    if (this.#roundSamples <= HYSTART_SAMPLES) return;
    const allowanceUs = Math.min(
      Math.max(this.#delayMinUs / 8, HYSTART_DELAY_MIN_US),
      HYSTART_DELAY_MAX_US,
    );
    if (this.#roundRttUs > this.#delayMinUs + allowanceUs) this.ssthresh = this.cwnd;
  }
}
