/** What a running portal says of itself over its control socket, as types. */
import type { Transport } from "../core/transport.ts";
import type { RungStatus } from "../ladder/ladder.ts";

/** `schema` grows with every change. */
export const STATUS_SCHEMA = 4;

/** One transport of a link. */
export interface PathStatus extends RungStatus {
  /** Octets of the longest IP packet that it carries, this way; null: not known, or TCP, which has no size. */
  readonly mtu: number | null;
}

/** How a link's packets travel in this portal's sending direction. */
export interface TransportStatus {
  /** What carries them now; null: not attached. */
  readonly transport: Transport | null;
  /** What carries the peer's, as the peer says; null: unknown. */
  readonly transportIn: Transport | null;
  /** What is known of each transport that the link may use. */
  readonly transports: readonly PathStatus[];
  /** Changes of transport so far, and why the last one came about. */
  readonly switches: number;
  readonly lastSwitch: string | null;
}

export interface LinkStatus extends TransportStatus {
  readonly name: string;
  /**
   * `connecting`: not attached yet; `suspect`: an answer is overdue, new packets go elsewhere; `down`: silent,
   * being retried.
   */
  readonly state: "connecting" | "up" | "suspect" | "down";
  /** Local device or null. */
  readonly device: string | null;
  /** Remote address as text, null while unknown. */
  readonly remote: string | null;
  /** Smoothed round-trip time, microseconds; null before the first sample. */
  readonly srttUs: number | null;
  readonly rttMinUs: number | null;
  /** Share of sent packets declared lost, 0..1, over the last seconds. */
  readonly loss: number;
  /** Octets per second of inner packets over the last second. */
  readonly rateOut: number;
  readonly rateIn: number;
  /** Share of all octets sent, 0..1, over the last second. */
  readonly share: number;
  /** Congestion controller of what is sent, and what it is doing ("start", "run", "drain", ...). */
  readonly controller: string;
  readonly phase: string;
  /** Outer packets ask to be marked: the path lets marks through, as far as is known. */
  readonly ecn: boolean;
  /** What packets wait on the way out beyond the shortest way, smoothed, microseconds. */
  readonly queueUs: number;
  readonly cwndBytes: number;
  readonly inFlightBytes: number;
  readonly packetsOut: number;
  readonly packetsIn: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly packetsLost: number;
  /** How often an answer was overdue, and how often the link went down. */
  readonly doubts: number;
  readonly downs: number;
  /** Seconds in the present state. */
  readonly sinceSeconds: number;
}

export interface PeerStatus {
  /** The client's name at a Remote Portal, "remote" at a Local Portal. */
  readonly name: string;
  readonly established: boolean;
  /**
   * At a Remote Portal: addresses from which two machines with the same key have taken this client's session from each
   * other within the last minute; null: none have.
   */
  readonly contenders: readonly string[] | null;
  /** The longest inner packet that is sent to it now: what its links carry, at most the device's MTU. */
  readonly innerMtu: number;
  /** Lost packets sent again, given up as too old, and second copies of realtime packets. */
  readonly repair: { readonly resent: number; readonly abandoned: number; readonly copies: number };
  /**
   * Received packets held now for an earlier one; earlier ones given up since every link had passed
   * them, or by time; packets that came after that.
   */
  readonly order: {
    readonly held: number;
    readonly lostByProgress: number;
    readonly lostByTime: number;
    readonly late: number;
  };
  readonly links: readonly LinkStatus[];
}

export interface PortalStatus {
  readonly schema: typeof STATUS_SCHEMA;
  readonly version: string;
  readonly name: string;
  readonly role: "local" | "remote";
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly mtu: number;
  readonly offload: boolean;
  /** Octets added to an inner packet, by transport, with one and with several live links, for IPv4 and IPv6. */
  readonly overhead: Readonly<Record<string, number>>;
  readonly packetsOut: number;
  readonly packetsIn: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly queuePackets: number;
  readonly queueBytes: number;
  readonly slotsFree: number;
  readonly slots: number;
  /** Dropped packets by reason, only reasons that occurred. */
  readonly drops: Readonly<Record<string, number>>;
  readonly peers: readonly PeerStatus[];
}
