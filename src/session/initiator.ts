/**
 * The Local Portal's side of the session: finds the Remote Portal over all links at once, attaches
 * each link, rekeys, and begins again when the session is lost. No socket, no clock: see
 * `effects.ts` for what goes in and comes out.
 */
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import {
  type InitiatorEffect,
  type LinkMessage,
  type SessionCounters,
  sessionCounters,
} from "./effects.ts";

export interface InitiatorOptions {
  /** 8 octets. */
  readonly clientId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
  /** SUITE of DATA. */
  readonly suite: number;
  /** 8, 10, 12 or 16; 16 with aes128Gcm. */
  readonly dataTag: number;
  /** Numbers 0..15, each once. */
  readonly links: readonly { readonly number: number; readonly transport: "raw" | "udp" }[];
  readonly random: RandomOctets;
}

/** An INIT that nobody has answered yet. */
export interface Unanswered {
  readonly sinceUs: TimeUs;
  /** INITs sent, by link number. */
  readonly sent: ReadonlyMap<number, number>;
}

export class Initiator {
  readonly counters: SessionCounters = sessionCounters();

  constructor(_options: InitiatorOptions) {}

  /** Begins the first handshake. */
  start(_nowUs: TimeUs): void {}

  /** Takes RESP, RETRY, CHALLENGE, CONTROL and RESET; ignores other types. */
  handle(_nowUs: TimeUs, _message: LinkMessage): void {}

  timeout(_nowUs: TimeUs): void {}

  deadlineUs(): TimeUs {
    return NEVER;
  }

  pollEffect(): InitiatorEffect | undefined {
    return undefined;
  }

  /** Handshakes now unless that is under way: every link silent for 3 s, or 2^27 packets encrypted. */
  renew(_nowUs: TimeUs): void {}

  /** A link's probe went unanswered: asks the peer on it whether it still knows us (CONTROL ping). */
  silent(_nowUs: TimeUs, _link: number): void {}

  /** A link was down for long or its local address changed: attaches it again, numbers go on. */
  reattach(_nowUs: TimeUs, _link: number): void {}

  /** Says goodbye on every attached link; the object is done after its last effect. */
  close(_nowUs: TimeUs): void {}

  /** True from `established` to `lost`. */
  get established(): boolean {
    return false;
  }

  /** Not null while a handshake runs that has no answer, also while rekeying. */
  get unanswered(): Unanswered | null {
    return null;
  }
}
