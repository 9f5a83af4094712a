/**
 * One link's packets come from a new address: is it the client that moved, or somebody who passes
 * its packets on? Both addresses are challenged, each with a nonce of its own:
 *
 *   only the new one answers        -> moved, after a grace for the old one
 *   the old one answers as well     -> conflict: the link stays where it is
 *   the new one does not answer     -> unanswered
 *
 * The old address is asked again while its grace lasts, so that one lost packet does not decide.
 * The new address has answered when its nonce comes back from it. The old one still reaches the
 * client when its nonce comes back from anywhere, or when any answer comes from it: somebody who
 * passes packets on faster than the network does can choose where an answer seems to come from.
 */
import { type Path, samePath } from "../core/path.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { CHALLENGE_OCTETS } from "../wire/attach.ts";
import { TAG_OCTETS } from "../wire/message.ts";
import {
  AMPLIFICATION_MAX,
  ROAM_GRACE_REPEAT_US,
  ROAM_GRACE_US,
  ROAM_REPEAT_US,
  ROAM_SILENT_US,
  ROAM_TIMEOUT_US,
} from "./limits.ts";

const SENT_OCTETS = CHALLENGE_OCTETS + TAG_OCTETS;

export type Verdict = "open" | "moved" | "conflict" | "unanswered";

export interface AddressCheckOptions {
  /** The new address. */
  readonly path: Path;
  readonly nonce: Uint8Array;
  readonly oldPath: Path;
  readonly oldNonce: Uint8Array;
}

export class AddressCheck {
  readonly options: AddressCheckOptions;
  readonly #untilUs: TimeUs;
  #heardUs: TimeUs;
  #receivedOctets = 0;
  #sentOctets = 0;
  #nextUs: TimeUs;
  /** When the new address has answered: the moment that decides. */
  #graceUs: TimeUs = NEVER;
  #reminderUs: TimeUs = NEVER;
  #oldAnswered = false;
  #relayed = false;

  constructor(nowUs: TimeUs, options: AddressCheckOptions) {
    this.options = options;
    this.#untilUs = nowUs + ROAM_TIMEOUT_US;
    this.#nextUs = nowUs;
    this.#heardUs = nowUs;
  }

  /** Octets that came from the new address: they pay for what is sent to it. */
  received(nowUs: TimeUs, octets: number): void {
    this.#heardUs = nowUs;
    this.#receivedOctets += octets;
  }

  /** True when the new address has not answered and nothing comes from it any more: another may be asked. */
  silent(nowUs: TimeUs): boolean {
    return this.#graceUs === NEVER && nowUs - this.#heardUs >= ROAM_SILENT_US;
  }

  /** True when both addresses are to be challenged now. */
  takeChallenge(nowUs: TimeUs): boolean {
    if (nowUs < this.#nextUs || this.#graceUs !== NEVER) return false;
    const allowed = AMPLIFICATION_MAX * this.#receivedOctets;
    if (this.#sentOctets + SENT_OCTETS > allowed) return false;
    this.#sentOctets += SENT_OCTETS;
    this.#nextUs = nowUs + ROAM_REPEAT_US;
    return true;
  }

  /** True when the old address alone is to be challenged once more: its grace has begun. */
  takeReminder(nowUs: TimeUs): boolean {
    if (this.#oldAnswered || nowUs < this.#reminderUs || nowUs >= this.#graceUs) return false;
    this.#reminderUs = nowUs + ROAM_GRACE_REPEAT_US;
    return true;
  }

  /** A RESPONSE came; the first answer of an address counts. False when it answers neither challenge. */
  response(nowUs: TimeUs, echo: Uint8Array, from: Path): boolean {
    const { path, nonce, oldPath, oldNonce } = this.options;
    const ofNew = Buffer.compare(echo, nonce) === 0;
    const ofOld = Buffer.compare(echo, oldNonce) === 0;
    if (ofNew && samePath(from, path) && this.#graceUs === NEVER) {
      this.#graceUs = nowUs + ROAM_GRACE_US;
      this.#reminderUs = nowUs;
    }
    if (ofNew && samePath(from, oldPath)) this.#relayed = true;
    if (ofOld) this.#oldAnswered = true;
    return ofNew || ofOld;
  }

  verdict(nowUs: TimeUs): Verdict {
    const answered = this.#graceUs !== NEVER;
    if (this.#relayed || (answered && this.#oldAnswered)) return "conflict";
    if (answered) return nowUs >= this.#graceUs ? "moved" : "open";
    return nowUs >= this.#untilUs ? "unanswered" : "open";
  }

  /** Without credit there is nothing to send until more has come. */
  deadlineUs(nowUs: TimeUs): TimeUs {
    if (this.#graceUs !== NEVER) return Math.min(this.#graceUs, this.#reminderUs);
    return Math.min(this.#untilUs, this.#nextUs > nowUs ? this.#nextUs : NEVER);
  }
}
