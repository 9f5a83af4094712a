/**
 * Whether the window is what limits the sender. It may grow only then (RFC 9002 section 7.8), and what
 * was delivered tells of the path only if it was so all along.
 */

/** In use: this part of it was in flight before an ack; less in START, as in Linux. */
const USED = 0.75;
const USED_START = 0.5;

export class Usage {
  /** At the last ack, and at every ack of this round. */
  now = false;
  round = true;
  /** When it was last not in use. */
  unusedUs = Number.NEGATIVE_INFINITY;

  onAck(nowUs: number, inFlightBytes: number, windowBytes: number, starting: boolean): void {
    this.now = inFlightBytes >= (starting ? USED_START : USED) * windowBytes;
    if (this.now) return;
    this.unusedUs = nowUs;
    this.round = false;
  }
}
