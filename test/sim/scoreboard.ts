/**
 * What a TCP sender knows of the segments in flight, and the loss detection on it: selective
 * acknowledgements (RFC 2018), RACK with an adapting reordering window (RFC 8985). Segments are numbered;
 * those that are neither acknowledged nor lost form a list in the order of their last transmission.
 */
import type { TimeUs } from "../../src/core/time.ts";

const SACKED = 1;
const LOST = 2;
/** A retransmission of it is in flight. */
const RESENT = 4;
const EVER_RESENT = 8;
const APP_LIMITED = 16;

/** Selectively acknowledged segments that speak for loss while no reordering has been seen. */
const DUPLICATES = 3;
/** Recoveries without a DSACK after which the reordering window is as at first. */
const REORDER_PERSIST = 16;

/** Tells the order of transmissions at one moment. */
const STAMP_STEP_US = 0.001;

/** What one acknowledgement brought. */
export interface AckSample {
  nowUs: TimeUs;
  /** Segments newly acknowledged, in order and by either way. */
  acked: number;
  delivered: number;
  /** Segments newly found lost. */
  lost: number;
  /** Round-trip time of the newest segment sent once; -1: none. */
  rttUs: number;
  /** Segments per microsecond at which the newest delivered one was carried; -1: not known. */
  rate: number;
  appLimited: boolean;
  /** How many had been delivered when that one was sent. */
  priorDelivered: number;
  /** A segment never sent twice was delivered. */
  original: boolean;
}

export class Scoreboard {
  una = 0;
  next = 0;
  sackedOut = 0;
  lostOut = 0;
  resentOut = 0;
  /** Segments delivered in all. */
  delivered = 0;
  minRttUs = Number.POSITIVE_INFINITY;
  reorderingSeen = false;
  readonly sample: AckSample = {
    nowUs: 0,
    acked: 0,
    delivered: 0,
    lost: 0,
    rttUs: -1,
    rate: -1,
    appLimited: false,
    priorDelivered: 0,
    original: false,
  };
  readonly #mask: number;
  readonly #state: Uint8Array;
  readonly #sentUs: Float64Array;
  /** For the delivery rate: what had been delivered at transmission, when, and when that flight began. */
  readonly #deliveredThen: Float64Array;
  readonly #deliveredThenUs: Float64Array;
  readonly #firstSentUs: Float64Array;
  readonly #previous: Int32Array;
  readonly #following: Int32Array;
  #listHead = -1;
  #listTail = -1;
  #deliveredUs: TimeUs = 0;
  #flightStartUs: TimeUs = 0;
  #rackSentUs: TimeUs = -1;
  /** The last transmission's time; each is a little later than the one before. */
  #stampUs: TimeUs = -1;
  /** The segment of the rate sample. */
  #rateSeq = 0;
  #rackRttUs = 0;
  #forward = 0;
  #lostHint = 0;
  #reorderSteps = 1;
  #reorderPersist = 0;
  #dsackRound = 0;

  /** @param window - segments in flight at the most */
  constructor(window: number) {
    const size = 2 ** Math.ceil(Math.log2(window + 64));
    this.#mask = size - 1;
    this.#state = new Uint8Array(size);
    this.#sentUs = new Float64Array(size);
    this.#deliveredThen = new Float64Array(size);
    this.#deliveredThenUs = new Float64Array(size);
    this.#firstSentUs = new Float64Array(size);
    this.#previous = new Int32Array(size);
    this.#following = new Int32Array(size);
  }

  get inFlight(): number {
    return this.next - this.una - this.sackedOut - this.lostOut + this.resentOut;
  }

  get full(): boolean {
    return this.next - this.una >= this.#mask - 1;
  }

  /** The next new segment leaves. */
  send(nowUs: TimeUs, appLimited: boolean): number {
    const seq = this.next;
    this.#state[seq & this.#mask] = 0;
    this.#transmit(nowUs, seq, appLimited);
    this.next += 1;
    return seq;
  }

  /** The first segment that is lost and not yet sent again, -1 if none. */
  firstLost(): number {
    if (this.lostOut === this.resentOut) return -1;
    for (let seq = Math.max(this.#lostHint, this.una); seq < this.next; seq += 1) {
      if (((this.#state[seq & this.#mask] as number) & (LOST | RESENT | SACKED)) === LOST) {
        this.#lostHint = seq;
        return seq;
      }
    }
    return -1;
  }

  resend(nowUs: TimeUs, seq: number): void {
    const at = seq & this.#mask;
    const state = this.#state[at] as number;
    if ((state & (LOST | RESENT)) !== LOST) this.#unlist(seq);
    if ((state & RESENT) === 0 && (state & LOST) !== 0) {
      this.resentOut += 1;
      this.#state[at] = state | RESENT | EVER_RESENT;
    } else this.#state[at] = state | EVER_RESENT;
    this.#transmit(nowUs, seq, false);
  }

  begin(nowUs: TimeUs): void {
    const { sample } = this;
    sample.nowUs = nowUs;
    sample.acked = 0;
    sample.delivered = 0;
    sample.lost = 0;
    sample.rttUs = -1;
    sample.rate = -1;
    sample.appLimited = false;
    sample.priorDelivered = -1;
    sample.original = false;
  }

  /** Everything below `seq` has been received. */
  acknowledge(seq: number): void {
    const to = Math.min(seq, this.next);
    for (; this.una < to; this.una += 1) {
      const state = this.#state[this.una & this.#mask] as number;
      if ((state & SACKED) !== 0) this.sackedOut -= 1;
      else this.#deliver(this.una, state);
      this.sample.acked += 1;
    }
  }

  /** [from, to) have been received. */
  sack(from: number, to: number): void {
    for (let seq = Math.max(from, this.una); seq < Math.min(to, this.next); seq += 1) {
      const state = this.#state[seq & this.#mask] as number;
      if ((state & SACKED) !== 0) continue;
      this.#deliver(seq, state);
      this.#state[seq & this.#mask] = (state & EVER_RESENT) | SACKED;
      this.sackedOut += 1;
    }
  }

  /** Computes the delivery rate of what was just acknowledged. Call once behind all ranges. */
  finish(): void {
    const { sample } = this;
    if (sample.delivered === 0 || sample.priorDelivered < 0) return;
    this.#deliveredUs = sample.nowUs;
    const at = this.#rateSeq & this.#mask;
    const sendUs = (this.#sentUs[at] as number) - (this.#firstSentUs[at] as number);
    const ackUs = sample.nowUs - (this.#deliveredThenUs[at] as number);
    this.#flightStartUs = this.#sentUs[at] as number;
    const us = Math.max(sendUs, ackUs);
    if (us >= this.minRttUs && us > 0) sample.rate = (this.delivered - sample.priorDelivered) / us;
  }

  /** A duplicate was reported: reordering was taken for loss. Once a round trip. */
  noteDsack(): void {
    if (this.una < this.#dsackRound) return;
    this.#dsackRound = this.next;
    this.#reorderSteps += 1;
    this.#reorderPersist = REORDER_PERSIST;
  }

  noteRecoveryEnd(): void {
    if (this.#reorderPersist > 0) this.#reorderPersist -= 1;
    if (this.#reorderPersist === 0) this.#reorderSteps = 1;
  }

  /** Marks lost what RACK finds lost; returns after how long to look again, 0: not by time. */
  detect(nowUs: TimeUs, srttUs: number, recovering: boolean): number {
    const windowUs = this.#reorderWindowUs(srttUs, recovering);
    let againUs = 0;
    let seq = this.#listHead;
    while (seq >= 0) {
      const at = seq & this.#mask;
      const sentUs = this.#sentUs[at] as number;
      if (sentUs >= this.#rackSentUs) break;
      const following = this.#following[at] as number;
      const leftUs = sentUs + this.#rackRttUs + windowUs - nowUs;
      if (leftUs <= 0) this.#lose(seq);
      else againUs = Math.max(againUs, leftUs);
      seq = following;
    }
    return againUs;
  }

  /** A retransmission timeout: everything outstanding counts as lost. */
  loseAll(): void {
    for (let seq = this.una; seq < this.next; seq += 1) {
      const state = this.#state[seq & this.#mask] as number;
      if ((state & SACKED) === 0 && (state & (LOST | RESENT)) !== LOST) this.#lose(seq);
    }
    this.#lostHint = this.una;
  }

  /** The losses were none: what has not been sent again is in flight still. */
  unlose(): void {
    for (let seq = this.una; seq < this.next; seq += 1) {
      const at = seq & this.#mask;
      const state = this.#state[at] as number;
      if ((state & (LOST | SACKED)) !== LOST) continue;
      this.lostOut -= 1;
      if ((state & RESENT) !== 0) this.resentOut -= 1;
      else this.#list(seq);
      this.#state[at] = state & ~(LOST | RESENT);
    }
  }

  #transmit(nowUs: TimeUs, seq: number, appLimited: boolean): void {
    const at = seq & this.#mask;
    if (this.inFlight === 0) {
      this.#flightStartUs = nowUs;
      this.#deliveredUs = nowUs;
    }
    this.#stampUs = Math.max(nowUs, this.#stampUs + STAMP_STEP_US);
    if (appLimited) this.#state[at] = (this.#state[at] as number) | APP_LIMITED;
    this.#sentUs[at] = this.#stampUs;
    this.#deliveredThen[at] = this.delivered;
    this.#deliveredThenUs[at] = this.#deliveredUs;
    this.#firstSentUs[at] = this.#flightStartUs;
    this.#list(seq);
  }

  #deliver(seq: number, state: number): void {
    const { sample } = this;
    const at = seq & this.#mask;
    if ((state & (LOST | RESENT)) !== LOST) this.#unlist(seq);
    if ((state & LOST) !== 0) {
      this.lostOut -= 1;
      if ((state & RESENT) !== 0) this.resentOut -= 1;
    }
    this.delivered += 1;
    sample.delivered += 1;
    const once = (state & EVER_RESENT) === 0;
    const sentUs = this.#sentUs[at] as number;
    this.#noteRack(seq, sentUs, once);
    if (once) {
      sample.original = true;
      sample.rttUs = sample.nowUs - sentUs;
      this.minRttUs = Math.min(this.minRttUs, sample.rttUs);
    }
    const then = this.#deliveredThen[at] as number;
    if (then < sample.priorDelivered) return;
    sample.priorDelivered = then;
    sample.appLimited = (state & APP_LIMITED) !== 0;
    this.#rateSeq = seq;
  }

  /** RFC 8985 section 6.2, steps 1 to 3. */
  #noteRack(seq: number, sentUs: TimeUs, once: boolean): void {
    const rttUs = this.sample.nowUs - sentUs;
    if (seq < this.#forward && once) this.reorderingSeen = true;
    if (seq > this.#forward) this.#forward = seq;
    // An acknowledgement of the first transmission, not of the repeated one.
    if (!once && rttUs < this.minRttUs) return;
    if (sentUs <= this.#rackSentUs) return;
    this.#rackSentUs = sentUs;
    this.#rackRttUs = rttUs;
  }

  #reorderWindowUs(srttUs: number, recovering: boolean): number {
    if (!this.reorderingSeen && (recovering || this.sackedOut >= DUPLICATES)) return 0;
    return Math.min((this.#reorderSteps * this.minRttUs) / 4, srttUs);
  }

  #lose(seq: number): void {
    const at = seq & this.#mask;
    const state = this.#state[at] as number;
    this.#unlist(seq);
    this.sample.lost += 1;
    if ((state & RESENT) !== 0) this.resentOut -= 1;
    if ((state & LOST) === 0) this.lostOut += 1;
    this.#state[at] = (state | LOST) & ~RESENT;
    this.#lostHint = Math.min(this.#lostHint, seq);
  }

  #list(seq: number): void {
    const at = seq & this.#mask;
    this.#previous[at] = this.#listTail;
    this.#following[at] = -1;
    if (this.#listTail >= 0) this.#following[this.#listTail & this.#mask] = seq;
    else this.#listHead = seq;
    this.#listTail = seq;
  }

  #unlist(seq: number): void {
    const at = seq & this.#mask;
    const previous = this.#previous[at] as number;
    const following = this.#following[at] as number;
    if (previous >= 0) this.#following[previous & this.#mask] = following;
    else this.#listHead = following;
    if (following >= 0) this.#previous[following & this.#mask] = previous;
    else this.#listTail = previous;
  }
}
