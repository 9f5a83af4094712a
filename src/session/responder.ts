/**
 * The Remote Portal's side of the sessions of many clients: answers handshakes, confirms sessions,
 * validates addresses. Nothing is kept for a client whose INIT did not authenticate. No socket, no
 * clock: see `effects.ts` for what goes in and comes out.
 */
import type { Path } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import type { InnerAddress } from "../wire/offer.ts";
import {
  type PathMessage,
  type ResponderEffect,
  type SessionCounters,
  sessionCounters,
} from "./effects.ts";

export interface ResponderClient {
  /** 8 octets, unique. */
  readonly clientId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
  /** Told to the client for comparison; the first RESP_ADDRESSES_MAX. */
  readonly addresses: readonly InnerAddress[];
}

export interface ResponderOptions {
  /** The index in this list is the `peer` of every effect. */
  readonly clients: readonly ResponderClient[];
  /** Required SUITE of DATA. */
  readonly suite: number;
  /** Shortest DATA tag that is accepted. */
  readonly dataTagMin: number;
  readonly transports: readonly ("raw" | "udp")[];
  readonly random: RandomOctets;
  /** The newest `persist` record of an earlier run. */
  readonly record?: Uint8Array;
}

export class Responder {
  readonly counters: SessionCounters = sessionCounters();

  constructor(_options: ResponderOptions) {}

  /** Emits `addClient` for every client and `listen` for what an earlier run left. */
  start(_nowUs: TimeUs): void {}

  /**
   * Takes INIT, ATTACH, RESPONSE and CONTROL, and FEEDBACK whose context is not a link's (it belongs
   * to a session from before a restart); ignores other types.
   */
  handle(_nowUs: TimeUs, _message: PathMessage): void {}

  /**
   * An authenticated packet of a link came from another path than the link's. Call it for packets
   * that raised the largest sequence number only, so that a late one moves nothing.
   *
   * @param octets - length of the packet on the wire: an unvalidated path is sent 3 times that at most
   */
  sourceDiffers(_nowUs: TimeUs, _context: number, _path: Path, _octets: number): void {}

  timeout(_nowUs: TimeUs): void {}

  deadlineUs(): TimeUs {
    return NEVER;
  }

  pollEffect(): ResponderEffect | undefined {
    return undefined;
  }

  /** Asks a client to rekey (CONTROL rekey on every attached link). */
  requestRekey(_nowUs: TimeUs, _peer: number): void {}

  /** Says goodbye to every client; the object is done after its last effect. */
  close(_nowUs: TimeUs): void {}
}
