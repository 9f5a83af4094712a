/**
 * A model of BBR (version 1): windowed maximum of the delivery rate, windowed minimum of the round-trip
 * time; start-up, drain, bandwidth probing in eight phases, round-trip probing each ten seconds. Loss is
 * answered by a round of packet conservation only.
 */
import { MS, SECOND, type TimeUs } from "../../src/core/time.ts";
import type { AckSample, Scoreboard } from "./scoreboard.ts";
import type { TcpLaw, TcpState } from "./tcp-law.ts";

const HIGH_GAIN = 2.885;
const CYCLE = [1.25, 0.75, 1, 1, 1, 1, 1, 1] as const;
const CWND_GAIN = 2;
const RATE_ROUNDS = 10;
const MIN_RTT_US = 10 * SECOND;
const PROBE_RTT_US = 200 * MS;
const PROBE_RTT_CWND = 4;
const FULL_GROWTH = 1.25;
const FULL_ROUNDS = 3;
/** What is in flight in sender's and receiver's bursts. */
const BURST_SEGMENTS = 6;
const PACING_MARGIN = 0.99;

type Mode = "startup" | "drain" | "probe-bw" | "probe-rtt";

export class TcpBbr implements TcpLaw {
  cwnd = 10;
  mode: Mode = "startup";
  #rates = new Float64Array(RATE_ROUNDS);
  #slot = 0;
  /** A round has begun in which the filter has not moved on. */
  #stale = false;
  /** What is sent before this many are delivered was held back: its rate says nothing. */
  #heldUntil = 0;
  #round = 0;
  #roundEnd = 0;
  #minRttUs = Number.POSITIVE_INFINITY;
  #minRttAtUs: TimeUs = 0;
  #fullRate = 0;
  #fullRounds = 0;
  #cycle = 2;
  #cycleUs: TimeUs = 0;
  #probeDoneUs: TimeUs = -1;
  #priorCwnd = 0;
  #gain = HIGH_GAIN;
  #conserveUntil = -1;
  #srttUs = 0;

  get slowStart(): boolean {
    return this.mode === "startup";
  }

  get rate(): number {
    return Math.max(...this.#rates);
  }

  get pacingRate(): number {
    const { rate } = this;
    if (rate > 0) return PACING_MARGIN * this.#gain * rate;
    return (HIGH_GAIN * 10) / Math.max(this.#srttUs, 1 * MS);
  }

  onAck(sample: AckSample, board: Scoreboard, state: TcpState, srttUs: number): void {
    this.#srttUs = srttUs;
    const newRound = sample.priorDelivered >= this.#roundEnd;
    if (newRound) {
      this.#roundEnd = board.delivered;
      this.#round += 1;
      this.#stale = true;
    }
    this.#noteRate(sample);
    this.#checkFull(sample, newRound);
    this.#checkDrained(sample, board);
    this.#advanceCycle(sample, board);
    this.#noteRtt(sample, board);
    this.#setCwnd(sample, board, state);
  }

  onRecovery(_nowUs: TimeUs, board: Scoreboard): void {
    this.#priorCwnd = Math.max(this.cwnd, this.#priorCwnd);
    this.#conserveUntil = this.#round + 1;
    this.cwnd = Math.max(board.inFlight + board.sample.delivered, PROBE_RTT_CWND);
  }

  onMark(): void {}

  onTimeout(): void {
    this.#priorCwnd = Math.max(this.cwnd, this.#priorCwnd);
    this.cwnd = 1;
  }

  onSent(): void {}

  onRecovered(): void {
    this.cwnd = Math.max(this.cwnd, this.#priorCwnd);
    this.#priorCwnd = 0;
    this.#conserveUntil = -1;
  }

  undo(): void {
    this.onRecovered();
    this.#fullRate = 0;
    this.#fullRounds = 0;
  }

  #noteRate(sample: AckSample): void {
    if (sample.rate < 0) return;
    const held = sample.appLimited || this.mode === "probe-rtt";
    if (held || sample.priorDelivered < this.#heldUntil) {
      if (sample.rate < this.rate) return;
    }
    if (this.#stale) {
      this.#stale = false;
      this.#slot = (this.#slot + 1) % RATE_ROUNDS;
      this.#rates[this.#slot] = 0;
    }
    this.#rates[this.#slot] = Math.max(this.#rates[this.#slot] as number, sample.rate);
  }

  #checkFull(sample: AckSample, newRound: boolean): void {
    if (this.mode !== "startup" || !newRound || sample.appLimited) return;
    if (this.rate >= FULL_GROWTH * this.#fullRate) {
      this.#fullRate = this.rate;
      this.#fullRounds = 0;
      return;
    }
    this.#fullRounds += 1;
    if (this.#fullRounds < FULL_ROUNDS) return;
    this.mode = "drain";
    this.#gain = 1 / HIGH_GAIN;
  }

  #checkDrained(sample: AckSample, board: Scoreboard): void {
    if (this.mode !== "drain" || board.inFlight > this.#bdp(1)) return;
    this.#enterProbe(sample.nowUs);
  }

  #enterProbe(nowUs: TimeUs): void {
    this.mode = "probe-bw";
    this.#cycle = 2 + (this.#round % 6);
    this.#cycleUs = nowUs;
    this.#gain = CYCLE[this.#cycle] as number;
  }

  #advanceCycle(sample: AckSample, board: Scoreboard): void {
    if (this.mode !== "probe-bw") return;
    const long = sample.nowUs - this.#cycleUs > this.#minRttUs;
    const full = board.inFlight >= this.#bdp(this.#gain) || sample.lost > 0;
    if (this.#gain > 1 && !(long && full)) return;
    if (this.#gain < 1 && !(long || board.inFlight <= this.#bdp(1))) return;
    if (this.#gain === 1 && !long) return;
    this.#cycle = (this.#cycle + 1) % CYCLE.length;
    this.#cycleUs = sample.nowUs;
    this.#gain = CYCLE[this.#cycle] as number;
  }

  #noteRtt(sample: AckSample, board: Scoreboard): void {
    const { nowUs, rttUs } = sample;
    const stale = nowUs - this.#minRttAtUs > MIN_RTT_US;
    if (rttUs >= 0 && (rttUs <= this.#minRttUs || stale)) {
      this.#minRttUs = rttUs;
      this.#minRttAtUs = nowUs;
    }
    if (stale && this.mode !== "probe-rtt" && rttUs >= 0) {
      this.mode = "probe-rtt";
      this.#gain = 1;
      this.#priorCwnd = Math.max(this.cwnd, this.#priorCwnd);
      this.#probeDoneUs = -1;
    }
    if (this.mode !== "probe-rtt") return;
    if (this.#probeDoneUs < 0) {
      if (board.inFlight <= PROBE_RTT_CWND) this.#probeDoneUs = nowUs + PROBE_RTT_US;
      return;
    }
    if (nowUs < this.#probeDoneUs) return;
    this.#minRttAtUs = nowUs;
    this.#heldUntil = board.delivered + board.inFlight;
    this.onRecovered();
    if (this.#fullRounds >= FULL_ROUNDS) this.#enterProbe(nowUs);
    else {
      this.mode = "startup";
      this.#gain = HIGH_GAIN;
    }
  }

  #setCwnd(sample: AckSample, board: Scoreboard, state: TcpState): void {
    if (this.#round < this.#conserveUntil && state === "recovery") {
      const kept = Math.max(this.cwnd - sample.lost, PROBE_RTT_CWND);
      this.cwnd = Math.max(kept, board.inFlight + sample.delivered);
    } else {
      const gain = this.mode === "startup" || this.mode === "drain" ? HIGH_GAIN : CWND_GAIN;
      const target = this.#bdp(gain) + BURST_SEGMENTS;
      const grown = this.cwnd + sample.delivered;
      const full = this.#fullRounds >= FULL_ROUNDS;
      if (full) this.cwnd = Math.min(grown, target);
      else if (this.cwnd < target || board.delivered < 10) this.cwnd = grown;
      this.cwnd = Math.max(this.cwnd, PROBE_RTT_CWND);
    }
    if (this.mode === "probe-rtt") this.cwnd = Math.min(this.cwnd, PROBE_RTT_CWND);
  }

  #bdp(gain: number): number {
    const { rate } = this;
    if (rate === 0 || this.#minRttUs === Number.POSITIVE_INFINITY) return 10;
    return gain * rate * this.#minRttUs;
  }
}
