/**
 * For links carried by TCP, whose kernel controls congestion and repairs what is lost: our window only bounds what
 * stands before the bottleneck, since a kernel that fills its buffer makes everything wait, and answers with it. So
 * there is no pace and no answer to losses.
 *
 * The window is what the path holds, by the rate that was delivered and the shortest round trip of the last seconds, and
 * some more; much more while the rate still grows. As in BBR (draft-ietf-ccwg-bbr) the shortest round trip is seen anew
 * by emptying the queue for a moment when it has not been seen for long.
 */
import type { TimeUs } from "../core/time.ts";
import type {
  AckInfo,
  CongestionController,
  Drain as DrainState,
  LossInfo,
  PathReset,
  SentInfo,
} from "./controller.ts";
import { Drain } from "./dtc/drain.ts";
import { Rounds } from "./rounds.ts";

/** Of what the path holds: above 1, or a rate that has become higher would not be found. */
const GAIN = 1.25;
const GAIN_GROWING = 2;
/** On top: what a kernel has under way besides while it repairs a loss, and until a fast path is found. */
const SPARE_SEGMENTS = 32;
const SPARE_GROWING_SEGMENTS = 128;
/** The rate grows until so many rounds, with at least this part of the window in use, bring not so much more. */
const GROWN = 1.1;
const GROWING_ROUNDS = 3;
const USED = 0.5;
/** How much of the way down to a slower round the rate goes, if the window was what limited it. */
const DECAY = 0.1;
/** For so long the shortest round trip is believed, and for so many of it. */
const STALE_US = 10_000_000;
const STALE_TURNS = 40;
/** Sooner if what stands is this much longer than the window explains: the path is slower, or longer. */
const SOON_US = 1_000_000;
const SOON_TURNS = 8;
const LONGER = 1.2;
/** A round trip this near to the shortest is as short. */
const TOLERANCE = 0.05;
const TOLERANCE_MIN_US = 1_000;
const MIN_SEGMENTS = 4;

export class Kernel implements CongestionController {
  readonly name = "kernel";
  readonly answersMarks = false;
  readonly pacingRate = Number.POSITIVE_INFINITY;
  readonly #mssBytes: number;
  readonly #rounds = new Rounds();
  readonly #drain = new Drain();
  /** Octets per microsecond; 0 before the first round. And of the last round alone. */
  #rate = 0;
  #lastRate = 0;
  /** Rounds in use since the rate last grew. */
  #stillRounds = 0;
  /** The shortest round trip, and when one as short was last seen. */
  #turnUs = Number.POSITIVE_INFINITY;
  #turnSeenUs: TimeUs = 0;
  #srttUs = 0;
  /** The shortest of this round; all of the last one were longer than the window explains. */
  #roundTurnUs = Number.POSITIVE_INFINITY;
  #isLonger = false;
  #limited = false;
  #nowUs: TimeUs = 0;
  #roundUs: TimeUs = -1;
  #roundBytes = 0;

  constructor(mssBytes: number) {
    this.#mssBytes = mssBytes;
  }

  get phase(): string {
    if (this.#drain.running) return "drain";
    return this.starting ? "start" : "run";
  }

  get starting(): boolean {
    return this.#stillRounds < GROWING_ROUNDS;
  }

  get cwndBytes(): number {
    if (this.#drain.running) return this.#drain.windowBytes;
    const spare = this.starting ? SPARE_GROWING_SEGMENTS : SPARE_SEGMENTS;
    const gain = this.starting ? GAIN_GROWING : GAIN;
    return spare * this.#mssBytes + gain * this.#heldBytes;
  }

  get drain(): DrainState {
    if (this.#drain.running) return "running";
    const staleUs = this.#isLonger
      ? Math.max(SOON_US, SOON_TURNS * this.#turnUs)
      : Math.max(STALE_US, STALE_TURNS * this.#turnUs);
    return this.#limited && this.#nowUs - this.#turnSeenUs > staleUs ? "due" : "none";
  }

  onSent(_sent: SentInfo): void {}

  onAck(ack: AckInfo): void {
    this.#nowUs = ack.nowUs;
    this.#srttUs = ack.srttUs;
    this.#limited = ack.windowLimited;
    if (ack.own) this.#seeTurn(ack);
    this.#roundBytes += ack.ackedBytes;
    if (this.#rounds.onAck(ack.nowUs, ack.largestSentUs)) this.#onRound(ack);
  }

  onLoss(_loss: LossInfo): void {}

  onSpuriousLoss(_nowUs: number, _packets: number): void {}

  onPathReset(_nowUs: number, reason: PathReset): void {
    this.#drain.cancel();
    if (reason === "absence") return;
    this.#rate = 0;
    this.#stillRounds = 0;
    this.#turnUs = Number.POSITIVE_INFINITY;
    this.#roundUs = -1;
  }

  beginDrain(nowUs: number): void {
    if (this.drain !== "due") return;
    this.#drain.begin(nowUs, this.#lastRate, this.#turnUs, MIN_SEGMENTS * this.#mssBytes);
  }

  /** What the path holds without a queue. Reports that take other links know no shortest round trip. */
  get #heldBytes(): number {
    return this.#rate * Math.min(this.#turnUs, this.#srttUs);
  }

  #seeTurn(ack: AckInfo): void {
    const turnUs = Math.min(ack.latestRttUs, ack.firstRttUs);
    const toleranceUs = Math.max(TOLERANCE * turnUs, TOLERANCE_MIN_US);
    if (turnUs <= this.#turnUs + toleranceUs) this.#turnSeenUs = ack.nowUs;
    this.#turnUs = Math.min(this.#turnUs, turnUs);
    this.#roundTurnUs = Math.min(this.#roundTurnUs, turnUs);
    if (!this.#drain.running) return;
    const queueUs = turnUs - this.#turnUs;
    const end = this.#drain.onAck(ack, queueUs, this.#turnUs, toleranceUs);
    if (end === "none") return;
    // What is left without a queue of ours is the path, which has become longer.
    if (end === "occupied") this.#turnUs += this.#drain.minUs;
    this.#turnSeenUs = ack.nowUs;
  }

  #onRound(ack: AckInfo): void {
    if (this.#roundUs >= 0 && ack.nowUs > this.#roundUs) {
      const rate = this.#roundBytes / (ack.nowUs - this.#roundUs);
      this.#lastRate = rate;
      if (rate > GROWN * this.#rate) this.#stillRounds = 0;
      else if (ack.inFlightBytes >= USED * this.cwndBytes) this.#stillRounds += 1;
      if (rate > this.#rate) this.#rate = rate;
      else if (ack.windowLimited && !this.#drain.running) this.#rate += DECAY * (rate - this.#rate);
    }
    this.#isLonger = this.#roundTurnUs > (LONGER * this.cwndBytes) / this.#rate;
    this.#roundTurnUs = Number.POSITIVE_INFINITY;
    this.#roundUs = ack.nowUs;
    this.#roundBytes = 0;
  }
}
