/**
 * A TCP sender's loss episode: how far it reaches, what was sent again in it, and whether it proves to have
 * been none: by the echo of an earlier time than the first retransmission (RFC 3522), or because every
 * retransmission was reported as a duplicate (RFC 3708).
 */
import type { TimeUs } from "../../src/core/time.ts";
import type { Scoreboard } from "./scoreboard.ts";

const CLOCK_MODULUS = 0x1_0000_0000;

export class TcpEpisode {
  /** It ends when this has been acknowledged. */
  high = 0;
  #resentAtUs: TimeUs = -1;
  #resent = 0;
  /** Retransmissions not yet reported as duplicates. */
  #unreported = 0;

  /** Retransmissions of an earlier episode that are still in flight count in this one. */
  begin(board: Scoreboard): void {
    const { resentOut } = board;
    if (resentOut === 0) this.#resentAtUs = -1;
    this.#resent = resentOut;
    this.#unreported = resentOut;
    this.high = board.next;
  }

  noteResent(nowUs: TimeUs): void {
    if (this.#resentAtUs < 0) this.#resentAtUs = nowUs;
    this.#resent += 1;
    this.#unreported += 1;
  }

  noteDuplicates(count: number): void {
    this.#unreported -= count;
  }

  /** @param advanced - the acknowledgement moved the left edge, by a segment sent at `echoUs` */
  spurious(echoUs: TimeUs, advanced: boolean): boolean {
    const early = advanced && this.#resentAtUs >= 0 && echoUs < this.#resentAtUs % CLOCK_MODULUS;
    return early || (this.#resent > 0 && this.#unreported <= 0);
  }
}
