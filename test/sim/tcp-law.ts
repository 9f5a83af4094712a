/** What a congestion-control law of the TCP model is told, and what it answers. Windows in segments. */
import type { TimeUs } from "../../src/core/time.ts";
import type { AckSample, Scoreboard } from "./scoreboard.ts";

/** `open`: no losses outstanding; `recovery`: being repaired; `loss`: after a timeout. */
export type TcpState = "open" | "recovery" | "loss";

export interface TcpLaw {
  readonly cwnd: number;
  readonly slowStart: boolean;
  /** Segments per microsecond; Infinity: sent as the window allows. */
  readonly pacingRate: number;
  /** `windowLimited`: the window kept the sender from sending more within the last round trip. */
  onAck(
    sample: AckSample,
    board: Scoreboard,
    state: TcpState,
    srttUs: number,
    windowLimited: boolean,
  ): void;
  /** Losses begin an episode. */
  onRecovery(nowUs: TimeUs, board: Scoreboard): void;
  /** The peer echoed a mark; once a round trip. */
  onMark(nowUs: TimeUs): void;
  onTimeout(nowUs: TimeUs): void;
  /** A segment left during a recovery. */
  onSent(state: TcpState): void;
  /** All losses of the episode are repaired. */
  onRecovered(nowUs: TimeUs): void;
  /** The losses of the episode were none. */
  undo(nowUs: TimeUs): void;
}

/** What a sender is made of. */
export interface TcpSenderOptions {
  readonly mss: number;
  readonly ecn: boolean;
  /** Segments to send; Infinity: without end. */
  readonly segments: number;
  readonly windowMax: number;
  readonly law: TcpLaw;
}
