/** Records as a sender would fill them, and a bottleneck in a few lines that produces them. */
import type { AckInfo, CongestionController, LossInfo } from "../../src/cc/controller.ts";
import { MS } from "../../src/core/time.ts";

export const MSS = 1000;

export const ack = (change: Partial<AckInfo> = {}): AckInfo => ({
  ...{ nowUs: 0, ackedBytes: MSS, ackedPackets: 1, largestSentUs: 0, own: true, heldUs: 0 },
  ...{ srttUs: 20_000, latestRttUs: 20_000, minRttUs: 20_000, firstRttUs: 20_000 },
  ...{ fresh: true, oneWayUs: 0, firstOneWayUs: 0, receivedUs: 0, deliveredBytes: 0 },
  ...{ ceCount: 0, ectCount: 0, inFlightBytes: 0, windowLimited: true },
  ...change,
});

export const loss = (change: Partial<LossInfo> = {}): LossInfo => ({
  ...{ nowUs: 0, lostBytes: MSS, lostPackets: 1, largestSentUs: 0 },
  ...change,
});

export interface Path {
  /** Octets per microsecond. */
  rate: number;
  rttUs: number;
  /** Octets that fit before the bottleneck. */
  bufferBytes: number;
  /** Added to the way back. */
  backUs: number;
  /** Octets that there are to send in a step; Infinity: always enough. */
  offerBytes: number;
}

interface Burst {
  readonly sentUs: number;
  readonly bytes: number;
  readonly atUs: number;
  readonly delayUs: number;
}

const STEP_US = 5 * MS;

/**
 * A fluid model: every 5 ms the window is filled, the bottleneck serves, and what arrived a round trip
 * ago is acknowledged. Coarse, but a controller that fails here fails everywhere.
 */
export class Fluid {
  readonly path: Path;
  nowUs = 0;
  deliveredBytes = 0;
  lostBytes = 0;
  #queueBytes = 0;
  #inFlightBytes = 0;
  readonly #flying: Burst[] = [];

  constructor(path: Path) {
    this.path = path;
  }

  get queueUs(): number {
    return this.#queueBytes / this.path.rate;
  }

  run(controller: CongestionController, untilUs: number): void {
    while (this.nowUs < untilUs) {
      this.nowUs += STEP_US;
      if (controller.drain === "due") controller.beginDrain(this.nowUs);
      this.#acknowledge(controller);
      this.#send(controller);
      this.#queueBytes = Math.max(0, this.#queueBytes - this.path.rate * STEP_US);
    }
  }

  #acknowledge(controller: CongestionController): void {
    let ackedBytes = 0;
    let last: Burst | undefined;
    const before = this.#inFlightBytes;
    while ((this.#flying[0]?.atUs ?? Number.POSITIVE_INFINITY) <= this.nowUs) {
      last = this.#flying.shift();
      ackedBytes += last?.bytes ?? 0;
    }
    if (last === undefined) return;
    this.#inFlightBytes -= ackedBytes;
    this.deliveredBytes += ackedBytes;
    const oneWayUs = last.delayUs - this.path.rttUs / 2;
    const rttUs = last.delayUs + this.path.backUs;
    controller.onAck(
      ack({
        ...{ nowUs: this.nowUs, ackedBytes, ackedPackets: ackedBytes / MSS, inFlightBytes: before },
        ...{ largestSentUs: last.sentUs, srttUs: rttUs, latestRttUs: rttUs, firstRttUs: rttUs },
        ...{ oneWayUs, firstOneWayUs: oneWayUs, receivedUs: last.sentUs + oneWayUs },
        ...{ deliveredBytes: this.deliveredBytes, windowLimited: this.path.offerBytes > before },
      }),
    );
  }

  #send(controller: CongestionController): void {
    const { rate, rttUs, bufferBytes, backUs, offerBytes } = this.path;
    const paced = controller.pacingRate * STEP_US;
    const room = Math.max(0, controller.cwndBytes - this.#inFlightBytes);
    const bytes = Math.min(room, paced, offerBytes);
    if (bytes < 1) return;
    const fits = Math.min(bytes, bufferBytes + rate * STEP_US - this.#queueBytes);
    const lostBytes = bytes - Math.max(fits, 0);
    if (lostBytes > 0) {
      this.lostBytes += lostBytes;
      const lostPackets = lostBytes / MSS;
      controller.onLoss(
        loss({ nowUs: this.nowUs, lostBytes, lostPackets, largestSentUs: this.nowUs }),
      );
    }
    if (fits <= 0) return;
    this.#inFlightBytes += fits;
    controller.onSent({ nowUs: this.nowUs, bytes: fits, inFlightBytes: this.#inFlightBytes });
    // The bottleneck spreads what came at once.
    for (let left = fits; left > 0; left -= rate * STEP_US) {
      const part = Math.min(left, rate * STEP_US);
      this.#queueBytes += part;
      const delayUs = rttUs + Math.max(0, this.#queueBytes / rate - STEP_US);
      const atUs = this.nowUs + delayUs + backUs;
      this.#flying.push({ sentUs: this.nowUs, bytes: part, atUs, delayUs });
    }
  }
}
