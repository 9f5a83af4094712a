/** What a running portal says of itself over its control socket. `schema` grows with every change. */
export const STATUS_SCHEMA = 1;

export interface LinkStatus {
  readonly name: string;
  /** `connecting`: not attached yet; `down`: silent, being retried. */
  readonly state: "connecting" | "up" | "down";
  readonly transport: "raw" | "udp";
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
  readonly cwndBytes: number;
  readonly inFlightBytes: number;
  readonly packetsOut: number;
  readonly packetsIn: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly packetsLost: number;
  /** Seconds in the present state. */
  readonly sinceSeconds: number;
}

export interface PeerStatus {
  /** The client's name at a Remote Portal, "remote" at a Local Portal. */
  readonly name: string;
  readonly established: boolean;
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
