/**
 * Whether the packets of a link may ask to be marked instead of dropped (ECN on outer packets), and
 * whether marks are to be believed: the validation of RFC 9000 section 13.4.2, simplified, for one
 * direction of one path. It sets no field itself: `ect` says what the next packets should carry.
 *
 *   testing --marks come back--> capable --nothing comes back--> pausing --packets pass--> testing
 *      |                            |
 *      +-- no marks, or all CE, or nothing comes back; no marks --> failed   until the path changes
 */

/** ECT(0), in the low bits of the traffic class (RFC 3168 section 5). */
export const ECT0 = 2;

/** RFC 9000 appendix A.4 tests with about ten packets; their marks decide. */
const TEST_PACKETS = 10;
/** Afterwards marks are counted over so many, since a path may change unseen. */
const CHECK_PACKETS = 128;
/**
 * Of the packets acknowledged at least this share must be reported with ECT or CE. All would be
 * right, but a late packet from before the test, and a report that another overtook, must not fail it.
 */
const MARKED_SHARE_MIN = 0.5;
/** A path that fell silent is tried again after so many packets passed without ECT. */
const PAUSE_PACKETS = 512;
/** Counts travel modulo 2^16: a step of more than half is a report that another one overtook. */
const STEP_MAX = 0x7fff;

export type EcnState = "testing" | "capable" | "pausing" | "failed";

/** What a feedback message newly says. */
export interface EcnReport {
  /** Highest sequence number newly acknowledged, and the one that the next packet will have. */
  largestAcked: number;
  nextSeq: number;
  /** Packets newly acknowledged. */
  ackedPackets: number;
  /** Packets newly reported as ECT, and as CE; modulo 2^16. */
  ectCount: number;
  ceCount: number;
}

export class EcnValidation {
  state: EcnState = "testing";
  /** The first packet that carried ECT since the test began. */
  #fromSeq = 0;
  #acked = 0;
  #marked = 0;
  #ce = 0;

  /** The packets sent from now on should carry ECT(0). */
  get ect(): boolean {
    return this.state === "testing" || this.state === "capable";
  }

  /** Takes in a report; returns how many CE marks in it are to be believed. */
  onAck(report: EcnReport): number {
    if (this.state === "failed") return 0;
    if (this.state === "pausing") {
      this.#acked += report.ackedPackets;
      if (this.#acked >= PAUSE_PACKETS) this.#test(report.nextSeq);
      return 0;
    }
    const { ectCount, ceCount } = report;
    if (ectCount > STEP_MAX || ceCount > STEP_MAX) return 0;
    if (report.largestAcked < this.#fromSeq) return 0;
    const believed = this.state === "capable" ? ceCount : 0;
    this.#acked += report.ackedPackets;
    this.#marked += ectCount + ceCount;
    this.#ce += ceCount;
    this.#judge();
    return believed;
  }

  /**
   * Everything in flight was given up. Perhaps the path drops what carries ECT: so it is off until
   * packets have passed without. Where ECT never came through, it stays off.
   */
  onAllLost(): void {
    if (!this.ect) return;
    const proven = this.state === "capable" || this.#marked > 0;
    this.state = proven ? "pausing" : "failed";
    this.#forget();
  }

  /** The path is another one. `nextSeq`: the number of the first packet that will take it. */
  reset(nextSeq: number): void {
    this.#test(nextSeq);
  }

  #test(nextSeq: number): void {
    this.state = "testing";
    this.#fromSeq = nextSeq;
    this.#forget();
  }

  #judge(): void {
    const testing = this.state === "testing";
    if (this.#acked < (testing ? TEST_PACKETS : CHECK_PACKETS)) return;
    const bleached = this.#marked < MARKED_SHARE_MIN * this.#acked;
    // No queue marks every one of the first packets; a device that sets both bits does.
    const constant = testing && this.#ce >= this.#marked;
    this.state = bleached || constant ? "failed" : "capable";
    this.#forget();
  }

  #forget(): void {
    this.#acked = 0;
    this.#marked = 0;
    this.#ce = 0;
  }
}
