/**
 * Whose session a `peer` number names: each client has a seat for its tunnel, numbered as in the
 * configuration, and one for a probing session, numbered behind all tunnels. What sits on one never
 * touches the other.
 */
import { NEVER, type TimeUs } from "../core/time.ts";
import type { InnerAddress, Purpose } from "../wire/offer.ts";
import { type Budget, createBudget } from "./admission.ts";
import { Contest } from "./contest.ts";
import { type ClientKeys, clientKeys } from "./keys.ts";
import { PROBE_LIFETIME_US } from "./limits.ts";
import type { PortalSession } from "./portal-session.ts";
import { SessionChain } from "./session-chain.ts";

export interface ResponderClient {
  /** 8 octets, unique. */
  readonly clientId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
  /** Told to the client for comparison; the first CHOICE_ADDRESSES_MAX. */
  readonly addresses: readonly InnerAddress[];
}

export interface Client {
  /** In the configuration. */
  readonly index: number;
  readonly clientId: Uint8Array;
  readonly keys: ClientKeys;
  readonly addresses: readonly InnerAddress[];
  /** For handshakes of both purposes. */
  readonly budget: Budget;
}

export interface Seat {
  readonly peer: number;
  readonly purpose: Purpose;
  readonly client: Client;
  readonly sessions: SessionChain<PortalSession>;
  readonly contest: Contest;
}

export class Seats {
  readonly clients: readonly Client[];
  /** By `peer`. */
  readonly all: readonly Seat[];

  constructor(clients: readonly ResponderClient[]) {
    this.clients = clients.map(({ clientId, key, addresses }, index) => {
      return { index, clientId, keys: clientKeys(key), addresses, budget: createBudget() };
    });
    this.all = (["tunnel", "probe"] as const).flatMap((purpose) =>
      this.clients.map((client) =>
        createSeat(client, this.#peerOf(client.index, purpose), purpose),
      ),
    );
  }

  /** @param index - of the client, which must exist */
  of(index: number, purpose: Purpose): Seat {
    return this.all[this.#peerOf(index, purpose)] as Seat;
  }

  /** Where `session` is the present one; null when another has taken its place. */
  holding(session: PortalSession): Seat | null {
    const seat = this.all[session.peer];
    return seat?.sessions.current === session ? seat : null;
  }

  /** True for the `peer` of a probing session. */
  isProbe(peer: number): boolean {
    return peer >= this.clients.length;
  }

  /** The earliest deadline of all sessions. */
  deadlineUs(nowUs: TimeUs): TimeUs {
    let deadlineUs = NEVER;
    for (const { sessions } of this.all) {
      const checkUs = sessions.current?.deadlineUs(nowUs) ?? NEVER;
      deadlineUs = Math.min(deadlineUs, sessions.deadlineUs(), checkUs);
    }
    return deadlineUs;
  }

  #peerOf(index: number, purpose: Purpose): number {
    return purpose === "probe" ? this.clients.length + index : index;
  }
}

function createSeat(client: Client, peer: number, purpose: Purpose): Seat {
  const lifetimeUs = purpose === "probe" ? PROBE_LIFETIME_US : undefined;
  return { peer, purpose, client, sessions: new SessionChain(lifetimeUs), contest: new Contest() };
}
