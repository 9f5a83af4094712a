/** What an emulated world is made of: its links, its tunnels, the flows through and beside them, and the slots for all. */
import type { CongestionController } from "../../src/cc/controller.ts";
import { MS, type TimeUs } from "../../src/core/time.ts";
import { MBIT, type PipeSpec } from "./pipe.ts";
import { Steps } from "./steps.ts";
import type { Tamper, Tunnel } from "./tunnel.ts";

export type ControllerFactory = (mssBytes: number) => CongestionController;

export interface LinkSpec {
  /** From A to B. */
  readonly up: PipeSpec;
  /** From B to A; without it as `up`. */
  readonly down?: PipeSpec;
}

export interface WorldSpec {
  readonly seed: number;
  readonly links: readonly LinkSpec[];
  /** Of each link at both ends; default: the product's. */
  readonly controller?: ControllerFactory;
  /** Timers are late by up to this; default 1 ms. */
  readonly timerNoiseUs?: number;
  /** Outer packets ask to be marked instead of dropped; default yes, like the product's. */
  readonly outerEcn?: boolean;
  /** Slots of the arena; default: enough for every queue and path. */
  readonly slots?: number;
  /** What stands at the paths' ends, and what the portals' clocks show at time 0. */
  readonly tamper?: Tamper;
  readonly clocksUs?: readonly [a: number, b: number];
}

/** Octets of a full outer packet, and of the inner packet in it while several links are live. */
export const MSS_BYTES = 1500;
export const INNER_MTU = 1457;

export interface TunnelSpec {
  /** Paths by their index; default all. */
  readonly paths?: readonly number[];
  readonly controller?: ControllerFactory;
  readonly outerEcn?: boolean;
  /** Added to the way of this tunnel's packets behind the paths, each direction. */
  readonly extraDelayMs?: number;
}

export interface FlowSpec {
  /** Who sends; default A. */
  readonly from?: "a" | "b";
  readonly tunnel?: Tunnel;
  /** DSCP and ECN; default 0. */
  readonly trafficClass?: number;
  readonly startUs?: TimeUs;
}

export interface TcpSpec extends FlowSpec {
  readonly law?: "cubic" | "bbr";
  readonly ecn?: boolean;
  /** Octets to send; default without end. */
  readonly bytes?: number;
  readonly windowBytes?: number;
  /** Beside the tunnel, on the path of this index. */
  readonly beside?: number;
  readonly onDone?: (nowUs: TimeUs) => void;
}

/** Room for what all paths and their queues hold, twice (a bond may keep what it sent), and more. */
export function slotsFor(links: readonly LinkSpec[]): number {
  const base = 24_576;
  let bytes = 0;
  for (const { up, down } of links) {
    for (const pipe of [up, down ?? up]) {
      const rate = new Steps(pipe.rateMbit, MBIT).max;
      const delayMs = new Steps(pipe.delayMs, 1).max + new Steps(pipe.jitterMs ?? 0, 1).max;
      bytes +=
        2 * rate * (delayMs + 10) * MS + (pipe.queueBytes ?? rate * (pipe.queueMs ?? 100) * MS);
    }
  }
  return 2 * Math.ceil((base + (2 * bytes) / 1000) / 2);
}
