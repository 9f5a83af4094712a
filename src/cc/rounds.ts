/** Packet-timed rounds: a round ends when a packet is acknowledged that was sent after it began. */

export class Rounds {
  /** Rounds ended so far. */
  count = 0;
  #sinceUs = Number.NEGATIVE_INFINITY;

  /** True: with this acknowledgement a round ends and the next begins. */
  onAck(nowUs: number, largestSentUs: number): boolean {
    if (largestSentUs < this.#sinceUs) return false;
    this.#sinceUs = nowUs;
    this.count += 1;
    return true;
  }
}
