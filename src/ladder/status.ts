/** What a ladder tells about itself: options in, switches and status out. */
import type { RandomOctets } from "../core/random.ts";
import type { TimeUs } from "../core/time.ts";
import type { Transport } from "../core/transport.ts";

export interface LadderOptions {
  /** `remote` never sends by raw to where it has not heard raw lately, and little to an unproven address. */
  readonly role: "local" | "remote";
  /** What may carry this portal's messages, best first; one at least. */
  readonly allowed: readonly Transport[];
  readonly random: RandomOctets;
  /** Octets of a full-size HELLO at first, preamble to tag, without outer IP and UDP headers: those of a full DATA. */
  readonly fullOctets: number;
}

/**
 * Why DATA changes its transport, as log and status say it:
 *
 *   attached             the session attached the link by it, and nothing carried before
 *   trial passed         a better transport passed the trial of loss and size
 *   silent               nothing sent by the old one is seen any more, what is sent by the new one is
 *   loss                 the old one loses more than the new one
 *   policed              the old one loses what is sent in bursts
 *   large packets lost   the old one carries small messages only
 *   mangled              as silent or loss, while the peer refuses more and more messages for their tags
 *   not heard            Remote: the peer has not been heard by raw for 30 s
 *   closed               the old one's socket or connection is gone
 *   address changed      Remote: the peer's address of the old one changed and is not proven yet
 *   answered             nothing carried any more; this one was the first to be seen again
 */
export type SwitchCause =
  | "attached"
  | "trial passed"
  | "silent"
  | "loss"
  | "policed"
  | "large packets lost"
  | "mangled"
  | "not heard"
  | "closed"
  | "address changed"
  | "answered";

export interface TransportSwitch {
  /** Null: nothing carried DATA. */
  readonly from: Transport | null;
  readonly to: Transport;
  readonly cause: SwitchCause;
}

/** One transport in `LadderStatus`. */
export interface RungStatus {
  readonly transport: Transport;
  /** Its socket is open, or the peer's path is known. */
  readonly usable: boolean;
  /** In our sending direction: what we sent lately was seen, was not, or nobody can tell. */
  readonly works: "yes" | "no" | "unknown";
  /** When a HELLO of the peer came by it last; null: never. */
  readonly lastHeardUs: TimeUs | null;
  /** When it is tried again; null: it carries DATA, is worse than what does, or nothing forbids a trial. */
  readonly retryUs: TimeUs | null;
}

export interface LadderStatus {
  readonly current: Transport | null;
  /** Since when; null before the first. */
  readonly sinceUs: TimeUs | null;
  /** The allowed ones, best first. */
  readonly transports: readonly RungStatus[];
  /** The transport of the peer's own DATA as it said last; null: it has not, or none. */
  readonly peer: Transport | null;
  /** Switches so far, the first attachment not counted. */
  readonly switches: number;
  readonly lastCause: SwitchCause | null;
}
