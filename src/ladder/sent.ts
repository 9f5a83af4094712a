/**
 * The HELLOs sent by one transport, and which of them the peer has reported as seen: all evidence that
 * the ladder judges by is counted here, by the time at which a HELLO was sent.
 */
import type { TimeUs } from "../core/time.ts";
import { HELLO_BITMAP_BITS, type HelloSeen } from "../wire/hello.ts";

/** HELLOs remembered; at the highest rate (a suspicion on both sides) those of two seconds. A power of two. */
const KEPT = 256;
const BIT = { full: 1, seen: 2, asked: 4 } as const;

export type HelloKind = "any" | "small" | "full";

/** HELLOs of one kind sent within a period. */
export interface Tally {
  readonly sent: number;
  readonly seen: number;
  /** When the first and the last of those seen were sent; Infinity and -Infinity: none. */
  readonly firstSeenUs: TimeUs;
  readonly lastSeenUs: TimeUs;
}

export class SentHellos {
  /** When the newest HELLO left, and the newest of those reported as seen. */
  lastUs: TimeUs = Number.NEGATIVE_INFINITY;
  lastSeenUs: TimeUs = Number.NEGATIVE_INFINITY;
  /** Of the newest HELLO; 0: none was sent. */
  #number = 0;
  /** HELLOs up to this number belong to another path. */
  #forgotten = 0;
  /** Full-size ones up to this number had another size. */
  #resized = 0;
  readonly #sentUs = new Float64Array(KEPT);
  readonly #bits = new Uint8Array(KEPT);

  /** The number of the HELLO that leaves now. */
  record(nowUs: TimeUs, full: boolean, asked: boolean): number {
    this.#number += 1;
    this.#sentUs[this.#number % KEPT] = nowUs;
    this.#bits[this.#number % KEPT] = (full ? BIT.full : 0) | (asked ? BIT.asked : 0);
    this.lastUs = nowUs;
    return this.#number;
  }

  /** The path is another: what was sent on the old one is no evidence. Numbers go on. */
  forget(): void {
    this.#forgotten = this.#number;
    this.lastUs = Number.NEGATIVE_INFINITY;
    this.lastSeenUs = Number.NEGATIVE_INFINITY;
  }

  /** What is full-size is of another size from now on: whether the old size passes is no evidence. */
  resize(): void {
    this.#resized = this.#number;
  }

  /**
   * Takes in a report.
   *
   * @returns when the newest HELLO that asked, and was not known to be seen, had left; -1: none was
   */
  report(seen: HelloSeen): TimeUs {
    let askedUs = -1;
    const oldest = Math.max(this.#forgotten, this.#number - KEPT) + 1;
    for (let age = 0; age <= HELLO_BITMAP_BITS; age += 1) {
      const number = seen.highest - age;
      if (number < oldest || number > this.#number) continue;
      if (age > 0 && ((seen.bitmap >>> (age - 1)) & 1) === 0) continue;
      askedUs = Math.max(askedUs, this.#see(number % KEPT));
    }
    return askedUs;
  }

  /** HELLOs sent from `fromUs` to `toUs`, both included. */
  tally(fromUs: TimeUs, toUs: TimeUs, kind: HelloKind): Tally {
    let sent = 0;
    let seen = 0;
    let firstSeenUs = Number.POSITIVE_INFINITY;
    let lastSeenUs = Number.NEGATIVE_INFINITY;
    const before = kind === "full" ? Math.max(this.#forgotten, this.#resized) : this.#forgotten;
    const oldest = Math.max(before, this.#number - KEPT) + 1;
    for (let number = this.#number; number >= oldest; number -= 1) {
      const sentUs = this.#sentUs[number % KEPT] as number;
      if (sentUs < fromUs) break;
      const bits = this.#bits[number % KEPT] as number;
      if (sentUs > toUs || !isKind(bits, kind)) continue;
      sent += 1;
      if ((bits & BIT.seen) === 0) continue;
      seen += 1;
      firstSeenUs = sentUs;
      lastSeenUs = Math.max(lastSeenUs, sentUs);
    }
    return { sent, seen, firstSeenUs, lastSeenUs };
  }

  #see(at: number): TimeUs {
    const bits = this.#bits[at] as number;
    if ((bits & BIT.seen) !== 0) return -1;
    const sentUs = this.#sentUs[at] as number;
    this.#bits[at] = bits | BIT.seen;
    this.lastSeenUs = Math.max(this.lastSeenUs, sentUs);
    return (bits & BIT.asked) === 0 ? -1 : sentUs;
  }
}

function isKind(bits: number, kind: HelloKind): boolean {
  return kind === "any" || ((bits & BIT.full) !== 0) === (kind === "full");
}
