/** What a probe has measured of a link: figures, no judgement. What they mean is `verdict.ts`. */
import type { Transport } from "../core/transport.ts";
import type { Direction, TrainName } from "./plan.ts";
import type { Spread } from "./statistics.ts";

/** Why a packet did not even leave the probing machine. */
export type UnsentReason = "blocked" | "noBuffers" | "refused" | "unreachable" | "tooBig" | "other";

/** One train in one direction. */
export interface TrainResult {
  readonly name: TrainName;
  /** Of its IP packets. */
  readonly octets: number;
  /** Packets a second; 0: back to back. */
  readonly rate: number;
  readonly trafficClass: number;
  readonly idleSeconds: number;
  /** The other side has told what it saw, or the packets came here. */
  readonly known: boolean;
  /** Packets that were to leave, and that left. */
  readonly planned: number;
  readonly sent: number;
  readonly unsent: Readonly<Partial<Record<UnsentReason, number>>>;
  /** Each once. */
  readonly received: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly displacement: number;
  /** Arrived with another traffic class. */
  readonly remarked: number;
  readonly remarkedTo: number;
  /** Microseconds; null: too few. */
  readonly jitterUs: number | null;
  readonly delayGrowthUs: number | null;
  /** Why the Remote Portal did not send it. */
  readonly refused: "noPath" | "tooMuch" | null;
}

export interface IcmpAnswer {
  readonly type: number;
  readonly code: number;
  readonly from: string;
  readonly count: number;
}

export interface DirectionMeasurement {
  readonly direction: Direction;
  readonly trains: readonly TrainResult[];
  /** Messages whose tag was wrong, and places that were changed, from the preamble on. */
  readonly mangled: { readonly count: number; readonly positions: readonly number[] };
  /** Hop limits that packets arrived with; null: unknown. */
  readonly hops: { readonly min: number; readonly max: number } | null;
}

export interface Endpoint {
  readonly address: string;
  /** 0 by raw IP. */
  readonly port: number;
}

export interface TransportMeasurement {
  readonly transport: Transport;
  /** Null: its socket was open; else why not: an errno name. */
  readonly failure: string | null;
  readonly local: Endpoint | null;
  /** As the Remote Portal saw us. */
  readonly observed: Endpoint | null;
  readonly rttUs: Spread | null;
  readonly icmp: readonly IcmpAnswer[];
  /** Local errors of the socket by errno name. */
  readonly errors: Readonly<Record<string, number>>;
  readonly directions: Readonly<Record<Direction, DirectionMeasurement>>;
}

export interface LinkMeasurement {
  readonly family: 4 | 6;
  readonly linkMtu: number;
  /** A session came to be: there was at least one transport both ways. */
  readonly connected: boolean;
  readonly transports: readonly TransportMeasurement[];
  /** Another protocol number reached the portal where the raw links' own did not; null: was not tried. */
  readonly otherProtocolPassed: boolean | null;
}
