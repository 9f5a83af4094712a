/**
 * What a portal is told to do: the validated form of a configuration file. Reading and judging the
 * file is `cli/configuration.ts`; nothing here knows of TOML.
 */
import type { ControllerSettings } from "../cc/controllers.ts";
import type { Prefix } from "../core/prefix.ts";
import type { Transport } from "../core/transport.ts";

export {
  CONTROLLER_NAMES,
  type ControllerName,
  type ControllerSettings,
} from "../cc/controllers.ts";
export type { Prefix } from "../core/prefix.ts";
export type { Transport } from "../core/transport.ts";

export interface TunnelConfig {
  /** Name of the TUN device and of this instance: `/^[a-z][a-z0-9_-]{0,14}$/`. */
  readonly name: string;
  /** Addresses of the TUN device. */
  readonly addresses: readonly Prefix[];
  /** Inner MTU in octets, 576..1968 (1280 and up with IPv6); absent: from the links. */
  readonly mtu?: number;
  /** Routes into the tunnel. */
  readonly routes: readonly Prefix[];
  /** Octets of a DATA tag: 8, 10 (default), 12, 16. The Local Portal offers, the Remote Portal may refuse. */
  readonly tagOctets: 8 | 10 | 12 | 16;
  /** Encrypt content with AES-128-GCM. Both sides must say the same. */
  readonly encrypt: boolean;
  /** Segmentation offloads of TUN and UDP; default true. */
  readonly offload: boolean;
  /** Install an nftables table that keeps forged packets from changing the machine; default true. */
  readonly guard: boolean;
  /** Of links that say nothing else. */
  readonly controller: ControllerSettings;
  /** DSCP of outer packets, 0..63, of links that say nothing else. */
  readonly dscp: number;
  /** Outer packets may be marked instead of dropped (RFC 3168). */
  readonly ecn: boolean;
  /** What becomes of realtime packets while several links are up. */
  readonly realtime: "single" | "duplicate";
  /** A link's silence is to be known within so many seconds when nothing flows, 1..25. */
  readonly keepalive: number;
}

export interface LinkConfig {
  /** Unique in the file. */
  readonly name: string;
  readonly device?: string;
  /** Local address, text. */
  readonly source?: string;
  /** Remote address or DNS name; default: the peer's. */
  readonly remote: string;
  /** As configured. */
  readonly transport: "auto" | Transport;
  /** What the link may use, best first: one, or what "auto" chooses from. */
  readonly transports: readonly Transport[];
  readonly controller: ControllerSettings;
  /** DSCP of outer packets, 0..63. */
  readonly dscp: number;
  /** Reserved: lower is preferred. */
  readonly metric: number;
  /** Octets that the link's path carries, outer header included; default 1500. */
  readonly mtu: number;
}

export interface LocalConfig {
  readonly role: "local";
  readonly tunnel: TunnelConfig;
  /** 8 octets. */
  readonly clientId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
  /** UDP and TCP port of the Remote Portal. */
  readonly port: number;
  /** IP protocol number of raw links. */
  readonly protocol: number;
  /** New keys are agreed on so often, 5..3600. */
  readonly rekeySeconds: number;
  readonly links: readonly LinkConfig[];
}

export interface ClientConfig {
  /** Unique in the file. */
  readonly name: string;
  readonly clientId: Uint8Array;
  readonly key: Uint8Array;
  /** Inner addresses this client may send from and is reached at. Disjoint between clients. */
  readonly inner: readonly Prefix[];
}

export interface RemoteConfig {
  readonly role: "remote";
  readonly tunnel: TunnelConfig;
  readonly port: number;
  readonly protocol: number;
  /** Local addresses to listen on, text; empty: all. */
  readonly listen: readonly string[];
  readonly transports: readonly Transport[];
  readonly clients: readonly ClientConfig[];
}

export type PortalConfig = LocalConfig | RemoteConfig;

export const DEFAULT_PORT = 5253;
export const DEFAULT_PROTOCOL = 253;
