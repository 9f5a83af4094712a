/**
 * For links carried by TCP, whose kernel controls congestion and repairs what is lost: our window only bounds what
 * stands before the bottleneck, since a kernel that fills its buffer makes everything wait, and answers with it. So
 * there is no pace and no answer to losses.
 *
 * The window is what the path holds, by the rate that was delivered and the shortest round trip, and some more; much
 * more while the rate still grows. As in BBR (draft-ietf-ccwg-bbr) a round trip that short is looked for by emptying the
 * queue for a moment when none has been seen for long; what is left then is a path that has become longer.
 */
import { NEVER, type TimeUs } from "../core/time.ts";
import type {
  AckInfo,
  CongestionController,
  Drain as DrainState,
  LossInfo,
  PathReset,
  SentInfo,
} from "./controller.ts";
import { Drain } from "./drain.ts";
import { Rounds } from "./rounds.ts";

/** Of what the path holds: above 1, or a rate that has become higher would not be found. */
const GAIN = 1.25;
const GAIN_GROWING = 2;
/** On top: what a kernel has under way besides while it repairs a loss, and until a fast path is found. */
const SPARE_SEGMENTS = 32;
const SPARE_GROWING_SEGMENTS = 128;
/** And of fast paths no less than this long, or there would be little to put into one system call. */
const SPARE_US = 5_000;
/** The rate grows until so many rounds, with at least this part of the window in use, bring not so much more. */
const GROWN = 1.1;
const GROWING_ROUNDS = 3;
const USED = 0.5;
/** How much of the way down to a slower round the rate goes. */
const DECAY = 0.1;
/** For so long the shortest round trip is believed without being seen, and for so many of it. */
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
/** Weight of a report in the smoothed time for which reports are held back. */
const HELD_WEIGHT = 1 / 8;

export class Kernel implements CongestionController {
  readonly name = "kernel";
  readonly answersMarks = false;
  readonly starting = false;
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
  #turnUs = NEVER;
  #turnSeenUs: TimeUs = 0;
  #srttUs = 0;
  /** How long the peer holds the oldest packet of a report, smoothed. */
  #heldUs = 0;
  /** The shortest of this round; all of the last one were longer than the window explains. */
  #roundTurnUs = NEVER;
  #isLonger = false;
  #limited = false;
  #nowUs: TimeUs = 0;
  #roundUs: TimeUs = -1;
  #roundBytes = 0;

  constructor(mssBytes: number) {
    this.#mssBytes = mssBytes;
  }

  get phase(): string {
    return this.#drain.running ? "drain" : "run";
  }

  get cwndBytes(): number {
    if (this.#drain.running) return this.#drain.windowBytes;
    const segments = this.#growing ? SPARE_GROWING_SEGMENTS : SPARE_SEGMENTS;
    const gain = this.#growing ? GAIN_GROWING : GAIN;
    const spareBytes = Math.max(segments * this.#mssBytes, SPARE_US * this.#rate);
    return spareBytes + gain * this.#heldBytes;
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
    this.#heldUs += (ack.heldUs - this.#heldUs) * HELD_WEIGHT;
    this.#limited = ack.windowLimited;
    const queueUs = ack.own && ack.fresh ? this.#seeTurn(ack) : NEVER;
    if (this.#drain.running) this.#drainAck(ack, queueUs);
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
    this.#turnUs = NEVER;
    this.#roundUs = -1;
  }

  beginDrain(nowUs: number): void {
    if (this.drain !== "due") return;
    this.#drain.begin(nowUs, this.#lastRate, this.#turnUs, MIN_SEGMENTS * this.#mssBytes);
  }

  get #growing(): boolean {
    return this.#stillRounds < GROWING_ROUNDS;
  }

  /** What the path holds without a queue, and what is reported later. Reports that take other links know no shortest round trip. */
  get #heldBytes(): number {
    return this.#rate * (Math.min(this.#turnUs, this.#srttUs) + this.#heldUs);
  }

  #seeTurn(ack: AckInfo): number {
    const turnUs = Math.min(ack.latestRttUs, ack.firstRttUs);
    if (turnUs <= this.#turnUs + tolerance(turnUs)) this.#turnSeenUs = ack.nowUs;
    this.#turnUs = Math.min(this.#turnUs, turnUs);
    this.#roundTurnUs = Math.min(this.#roundTurnUs, turnUs);
    return turnUs - this.#turnUs;
  }

  /** `queueUs`: Infinity, if the report says nothing of it. */
  #drainAck(ack: AckInfo, queueUs: number): void {
    const turnUs = Math.min(this.#turnUs, ack.srttUs);
    const end = this.#drain.onAck(ack, queueUs, turnUs, tolerance(turnUs));
    if (end === "none") return;
    this.#turnSeenUs = ack.nowUs;
    const { minUs } = this.#drain;
    // What is left without a queue of ours is the path, which has become longer.
    if (end === "occupied" && minUs < NEVER) this.#turnUs += minUs;
  }

  #onRound(ack: AckInfo): void {
    if (this.#roundUs >= 0 && ack.nowUs > this.#roundUs) {
      const rate = this.#roundBytes / (ack.nowUs - this.#roundUs);
      this.#lastRate = rate;
      if (rate > GROWN * this.#rate) this.#stillRounds = 0;
      else if (ack.inFlightBytes >= USED * this.cwndBytes) this.#stillRounds += 1;
      if (rate > this.#rate) this.#rate = rate;
      else if (!this.#drain.running) this.#rate += DECAY * (rate - this.#rate);
    }
    const explainedUs = (LONGER * this.cwndBytes) / this.#rate - this.#heldUs;
    this.#isLonger = this.#roundTurnUs > explainedUs && this.#roundTurnUs < NEVER;
    this.#roundTurnUs = NEVER;
    this.#roundUs = ack.nowUs;
    this.#roundBytes = 0;
  }
}

function tolerance(turnUs: number): number {
  return Math.max(TOLERANCE * turnUs, TOLERANCE_MIN_US);
}
