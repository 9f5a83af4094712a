/**
 * For links carried by TCP, whose kernel controls congestion: our window only keeps a socket that takes
 * no more from letting everything wait in flight. It follows what is delivered; the socket's own fullness
 * is the limit, so there is no pace and no answer to losses, which TCP repairs.
 */
import type { TimeUs } from "../core/time.ts";
import type { AckInfo, CongestionController, LossInfo, PathReset, SentInfo } from "./controller.ts";
import { Rounds } from "./rounds.ts";

/** The window lets twice the rate of the last round trips through, so that the kernel may find more. */
const GAIN = 2;
/** What a socket may hold besides: a fast path is found within a few round trips. */
const FLOOR_SEGMENTS = 128;
/** How much of the way down to a slower round the rate goes. */
const DECAY = 0.1;

export class Kernel implements CongestionController {
  readonly name = "kernel";
  readonly answersMarks = false;
  readonly phase = "run";
  readonly drain = "none";
  readonly starting = false;
  readonly pacingRate = Number.POSITIVE_INFINITY;
  readonly #floorBytes: number;
  readonly #rounds = new Rounds();
  /** Octets per microsecond; 0 before the first round. */
  #rate = 0;
  #srttUs = 0;
  #roundUs: TimeUs = -1;
  #roundBytes = 0;

  constructor(mssBytes: number) {
    this.#floorBytes = FLOOR_SEGMENTS * mssBytes;
  }

  get cwndBytes(): number {
    return this.#floorBytes + GAIN * this.#rate * this.#srttUs;
  }

  onSent(_sent: SentInfo): void {}

  onAck(ack: AckInfo): void {
    this.#srttUs = ack.srttUs;
    this.#roundBytes += ack.ackedBytes;
    if (!this.#rounds.onAck(ack.nowUs, ack.largestSentUs)) return;
    if (this.#roundUs >= 0 && ack.nowUs > this.#roundUs) {
      const rate = this.#roundBytes / (ack.nowUs - this.#roundUs);
      this.#rate = rate > this.#rate ? rate : this.#rate + DECAY * (rate - this.#rate);
    }
    this.#roundUs = ack.nowUs;
    this.#roundBytes = 0;
  }

  onLoss(_loss: LossInfo): void {}

  onSpuriousLoss(_nowUs: number, _packets: number): void {}

  onPathReset(_nowUs: number, reason: PathReset): void {
    if (reason === "absence") return;
    this.#rate = 0;
    this.#srttUs = 0;
    this.#roundUs = -1;
  }

  beginDrain(_nowUs: number): void {}
}
