/**
 * Copa (Arun and Balakrishnan, NSDI 2018) with the rules that mvfst uses: the window moves towards the
 * rate 1 / (delta * queueing delay), with a velocity that doubles while it keeps its direction. No mode
 * switch against loss-based flows, no response to loss.
 *
 * With timers of 1 ms its rate is limited to about one packet / (delta * 1 ms): for comparison, and for
 * slow links.
 */
import type { AckInfo, CongestionController, LossInfo, PathReset, SentInfo } from "./controller.ts";

const INITIAL_CWND_SEGMENTS = 10;
const MIN_CWND_SEGMENTS = 4;
/** mvfst's default ("latency factor"): a queue of 20 packets; the paper has 0.5, which needs finer timers. */
const DELTA = 0.05;
const PACING_GAIN = 2;
const PACING_RTT_MIN_US = 500;
/** Round trips without a change of direction before the velocity doubles. */
const STEADY_ROUNDS = 3;
/** Bounds a step to a quarter of the window a round trip, where the paper leaves it open. */
const STEP_MAX = 0.25;
/** The minimum is taken over this long, in two halves. */
const MIN_RTT_WINDOW_US = 10_000_000;

/** A minimum over a sliding window, to within half of it. */
class WindowedMin {
  #current = Number.POSITIVE_INFINITY;
  #previous = Number.POSITIVE_INFINITY;
  #halfEndUs = Number.NEGATIVE_INFINITY;

  get value(): number {
    return Math.min(this.#current, this.#previous);
  }

  sample(nowUs: number, us: number, windowUs: number): void {
    if (nowUs < this.#halfEndUs) {
      this.#current = Math.min(this.#current, us);
      return;
    }
    this.#previous = this.#current;
    this.#current = us;
    this.#halfEndUs = nowUs + windowUs / 2;
  }
}

export class Copa implements CongestionController {
  readonly name = "copa";
  readonly answersMarks = false;
  readonly drain = "none";
  readonly #mssBytes: number;
  #minRtt = new WindowedMin();
  #standingRtt = new WindowedMin();
  #cwndBytes: number;
  #slowStart = true;
  #srttUs = 0;
  #velocity = 1;
  /** +1 or -1; for how many round trips; the window and the moment of the last look. */
  #direction = 1;
  #sameRounds = 0;
  #lookedBytes = 0;
  #lookedUs = Number.NEGATIVE_INFINITY;

  constructor(mssBytes: number) {
    this.#mssBytes = mssBytes;
    this.#cwndBytes = INITIAL_CWND_SEGMENTS * mssBytes;
  }

  get cwndBytes(): number {
    return this.#cwndBytes;
  }

  get starting(): boolean {
    return this.#slowStart;
  }

  get phase(): string {
    return this.#slowStart ? "start" : "run";
  }

  get pacingRate(): number {
    if (this.#srttUs === 0) return Number.POSITIVE_INFINITY;
    return (PACING_GAIN * this.#cwndBytes) / Math.max(this.#srttUs, PACING_RTT_MIN_US);
  }

  onSent(_sent: SentInfo): void {}

  onAck(ack: AckInfo): void {
    this.#srttUs = ack.srttUs;
    if (!ack.own) return;
    this.#sample(ack, ack.firstRttUs);
    this.#sample(ack, ack.latestRttUs);
    const standingUs = this.#standingRtt.value;
    const queueUs = standingUs - this.#minRtt.value;
    const target = this.#mssBytes / (DELTA * Math.max(queueUs, 1));
    const up = target >= this.#cwndBytes / standingUs;
    if (this.#slowStart && up) {
      if (ack.windowLimited || 2 * ack.inFlightBytes >= this.#cwndBytes) {
        this.#cwndBytes += ack.ackedBytes;
      }
      return;
    }
    this.#slowStart = false;
    this.#look(ack.nowUs);
    this.#step(ack, up ? 1 : -1);
  }

  onLoss(_loss: LossInfo): void {}

  onSpuriousLoss(_nowUs: number, _packets: number): void {}

  onPathReset(_nowUs: number, reason: PathReset): void {
    if (reason === "absence") return;
    this.#cwndBytes = INITIAL_CWND_SEGMENTS * this.#mssBytes;
    this.#minRtt = new WindowedMin();
    this.#standingRtt = new WindowedMin();
    this.#slowStart = true;
    this.#srttUs = 0;
    this.#velocity = 1;
    this.#sameRounds = 0;
    this.#lookedUs = Number.NEGATIVE_INFINITY;
  }

  beginDrain(_nowUs: number): void {}

  #sample(ack: AckInfo, us: number): void {
    this.#minRtt.sample(ack.nowUs, us, MIN_RTT_WINDOW_US);
    this.#standingRtt.sample(ack.nowUs, us, ack.srttUs / 2);
  }

  #step(ack: AckInfo, sign: number): void {
    if (sign > 0 && !ack.windowLimited) return;
    if (sign !== this.#direction && this.#velocity > 1) {
      this.#velocity = 1;
      this.#sameRounds = 0;
      this.#direction = sign;
    }
    const perAck = ack.ackedBytes / this.#cwndBytes;
    const step = Math.min(
      (this.#velocity * this.#mssBytes * perAck) / DELTA,
      STEP_MAX * this.#cwndBytes * perAck,
    );
    const floor = MIN_CWND_SEGMENTS * this.#mssBytes;
    this.#cwndBytes = Math.max(floor, this.#cwndBytes + sign * step);
  }

  /** Once a round trip: has the window kept its direction? */
  #look(nowUs: number): void {
    if (nowUs - this.#lookedUs < this.#srttUs) return;
    const direction = this.#cwndBytes > this.#lookedBytes ? 1 : -1;
    this.#sameRounds = direction === this.#direction ? this.#sameRounds + 1 : 0;
    this.#velocity = this.#sameRounds >= STEADY_ROUNDS ? 2 * this.#velocity : 1;
    this.#direction = direction;
    this.#lookedBytes = this.#cwndBytes;
    this.#lookedUs = nowUs;
  }
}
