/** What a probing side is told to do, and what it says meanwhile. */
import type { LinkForm } from "./link-sockets.ts";

export interface ProbedLink extends LinkForm {
  readonly name: string;
  /** Octets of the longest packet that it is said to carry. */
  readonly mtu: number;
}

export interface ProbingOptions {
  /** 8 octets. */
  readonly clientId: Uint8Array;
  /** 32 octets. */
  readonly key: Uint8Array;
  readonly links: readonly ProbedLink[];
  /** Bits a second, for each link and direction. */
  readonly rate: number;
  readonly durationUs: number;
  readonly long: boolean;
  /** Hop by hop afterwards. */
  readonly trace: boolean;
}

export interface ProbingProgress {
  readonly title: string;
  readonly step: number;
  readonly steps: number;
}

/** Why no session came to be though the Remote Portal answered. */
export interface Refusal {
  readonly reason: string;
}
