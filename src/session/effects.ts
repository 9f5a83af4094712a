/**
 * What the session layer is told and what it asks for. It opens no socket, reads no clock and keeps
 * no key of the addon: the portal loop feeds messages that the addon has already authenticated, and
 * after each input drains `pollEffect()` to the end, in order, and carries the effects out.
 *
 * Two rules make link state simple for the loop. A link is named by (peer, link number) and keeps
 * its flight, windows and sequence numbers through every effect, except `established` with
 * `continued: false`, which says: forget all link state of this peer, numbers start at 0. And a
 * context number is never used twice, so a late packet cannot be taken for another link's.
 */

import type { Path } from "../core/path.ts";
import type { TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";
import { type InnerAddress, RESULT } from "../wire/offer.ts";
import type { Contenders } from "./contest.ts";

/** One authenticated message: the preamble and the body, without the tag. Copied where it is kept. */
export interface Message {
  /** TYPE of the preamble. */
  readonly type: number;
  readonly octets: Uint8Array;
  /** The 64-bit sequence number that the tag was verified with. */
  readonly seq: number;
  /** Number of the context it was opened with: `context` of a listen, client or reset effect. */
  readonly context: number;
}

/** As a Local Portal hears it. */
export interface LinkMessage extends Message {
  /** Number of the link whose socket it came from, and what that socket carries. */
  readonly link: number;
  readonly transport: Transport;
}

/** As a Remote Portal hears it. */
export interface PathMessage extends Message {
  readonly path: Path;
}

/** Keys of one direction, the shape that the addon's contexts take. Keys are 32 octets. */
export interface ContextKeys {
  /** SUITE of DATA, see `wire/offer.ts`. */
  readonly suite: number;
  /** Octets of a DATA tag. */
  readonly dataTag: number;
  /** 0..15, part of the nonce of an encrypted session; 0 where there is no link. */
  readonly linkNumber: number;
  readonly data?: Uint8Array;
  readonly control?: Uint8Array;
  readonly attach?: Uint8Array;
  readonly handshake?: Uint8Array;
}

/**
 * DATA, FEEDBACK and CONTROL of this link now leave by the transmit context of `context`, with
 * `transmitId` in the preamble. Replaces what was attached on this link before.
 */
export interface Attached {
  readonly tag: "attached";
  readonly peer: number;
  readonly link: number;
  readonly context: number;
  readonly transmitId: number;
  /** Where to send: null at a Local Portal, whose link has connected sockets of its own. */
  readonly path: Path | null;
}

/**
 * `peer` is the index in `ResponderOptions.clients`; the probing session of that client has the
 * number of clients added to it. A Local Portal has the one peer 0.
 */
export type CommonEffect =
  /** Open messages to `id` with these keys: no link yet (RESP and RETRY, ATTACH, or what RESET answers). */
  | {
      readonly tag: "listen";
      readonly id: number;
      readonly context: number;
      readonly keys: ContextKeys;
    }
  /**
   * Open messages to `id` with `receive` and make a transmit context with `transmit` that has no path
   * yet. `continues` is the context this one follows on the same link, 0 if none: the replay windows
   * then start near the largest sequence numbers heard so far instead of at 0.
   */
  | {
      readonly tag: "listenLink";
      readonly id: number;
      readonly context: number;
      readonly peer: number;
      readonly link: number;
      readonly receive: ContextKeys;
      readonly transmit: ContextKeys;
      readonly continues: number;
    }
  /** Forget the receive context, and the transmit context made with it. */
  | { readonly tag: "unlisten"; readonly id: number; readonly context: number }
  /** A session is confirmed. Comes before the first `attached` of it. A probing one continues nothing. */
  | {
      readonly tag: "established";
      readonly peer: number;
      /** False: forget all link state of this peer, the sequence numbers start at 0. */
      readonly continued: boolean;
      readonly suite: number;
      readonly dataTag: number;
      /** Inner addresses as the Remote Portal has them. */
      readonly addresses: readonly InnerAddress[];
    }
  /** The link has no valid context any more: send nothing on it until `attached`. Its numbers stay. */
  | {
      readonly tag: "detached";
      readonly peer: number;
      readonly link: number;
      readonly context: number;
    }
  /**
   * The session ended; every link was `detached` before. A Local Portal handshakes again by itself,
   * unless it was a probing session.
   */
  | { readonly tag: "lost"; readonly peer: number; readonly reason: LostReason }
  /** A CONTROL body to seal and send by the transmit context of `context`. */
  | {
      readonly tag: "sendControl";
      readonly peer: number;
      readonly link: number;
      readonly context: number;
      readonly body: Uint8Array;
    }
  /** For the log. */
  | { readonly tag: "note"; readonly level: "info" | "warning"; readonly text: string };

export type InitiatorEffect =
  | CommonEffect
  /** With the transport by which the Remote Portal answered first. */
  | (Attached & { readonly transport: Transport })
  /**
   * Send this sealed message as it is on a link's socket of this transport; null: on each of the
   * link's sockets. Where none is open now it is lost, and repeated as if the network had lost it.
   */
  | {
      readonly tag: "send";
      readonly link: number;
      readonly transport: Transport | null;
      readonly octets: Uint8Array;
    }
  | {
      readonly tag: "addReset";
      readonly id: number;
      readonly token: Uint8Array;
      readonly context: number;
    }
  | { readonly tag: "removeReset"; readonly id: number }
  /** The Remote Portal knows us and says no. Tried again every `REFUSED_RETRY_US`. */
  | {
      readonly tag: "refused";
      readonly reason: RefusedReason;
      /** What the Remote Portal requires. */
      readonly suite: number;
      readonly dataTag: number;
    };

export type ResponderEffect =
  | CommonEffect
  | Attached
  /** Send this sealed message as it is along a path. */
  | { readonly tag: "send"; readonly path: Path; readonly octets: Uint8Array }
  /** INIT messages of this client are opened with this key. */
  | {
      readonly tag: "addClient";
      readonly clientId: Uint8Array;
      readonly key: Uint8Array;
      readonly context: number;
    }
  /** The link's client answered from `path`: send there from now on. */
  | {
      readonly tag: "moved";
      readonly peer: number;
      readonly link: number;
      readonly context: number;
      readonly path: Path;
    }
  /** The same for messages of one transport alone, if they still go to `before`. */
  | {
      readonly tag: "rerouted";
      readonly peer: number;
      readonly link: number;
      readonly context: number;
      readonly before: Path;
      readonly path: Path;
    }
  /** Two machines with the same key take the client's seat from each other; told at each turn once that is clear. */
  | { readonly tag: "contested"; readonly peer: number; readonly contenders: Contenders }
  /** Keep these octets over a restart, readable by nobody else. */
  | { readonly tag: "persist"; readonly record: Uint8Array };

/** An INIT that nobody has answered yet. */
export interface Unanswered {
  readonly sinceUs: TimeUs;
  /** INITs sent, by link number; one for all transports counts once. */
  readonly sent: ReadonlyMap<number, number>;
}

export type LostReason =
  /** The peer said goodbye. */
  | "closed"
  /** The Remote Portal has restarted and knows nothing of the session. */
  | "reset"
  /** No rekey for `SESSION_LIFETIME_US`; a probing session `PROBE_LIFETIME_US` after its beginning. */
  | "expired"
  /** A newer session of the same client, which does not continue this one, took its place. */
  | "replaced";

export type RefusedReason = "encrypt" | "tag" | "transport" | "purpose" | "unknown";

const REFUSED_REASONS: Readonly<Record<number, RefusedReason>> = {
  [RESULT.encrypt]: "encrypt",
  [RESULT.tag]: "tag",
  [RESULT.transport]: "transport",
  [RESULT.purpose]: "purpose",
};

/** @param result - RESULT of a choice that is a refusal */
export function refusedReason(result: number): RefusedReason {
  return REFUSED_REASONS[result] ?? "unknown";
}

/** Why an authenticated message had no effect, each with a count. */
export const SESSION_DROPS = [
  "truncated",
  "badVersion",
  "badHandshake",
  "unexpected",
  "answeredAlready",
  "unknownContext",
  "unknownControl",
  "retrySent",
  "retryLimited",
  "handshakeLimited",
  "cookieStale",
  "resetSent",
  "resetLimited",
  "roamOk",
  "roamConflict",
  "roamUnanswered",
  "homeKept",
  "replaced",
] as const;

export type SessionCounters = Record<(typeof SESSION_DROPS)[number], number>;

export function sessionCounters(): SessionCounters {
  return Object.fromEntries(SESSION_DROPS.map((name) => [name, 0])) as SessionCounters;
}
