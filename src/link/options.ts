/** What a link is made of. */
import type { CongestionController } from "../cc/controller.ts";
import type { Arena } from "../core/arena.ts";

export interface LinkOptions {
  /** 0..15, the same at both ends. */
  readonly number: number;
  readonly name: string;
  readonly arena: Arena;
  readonly controller: CongestionController;
  /** Octets of a full packet on the wire. */
  readonly mssBytes: number;
  /** Of outer packets, 0..63; default 0. */
  readonly dscp?: number;
  /** Outer packets may be marked where the path lets marks through and the controller answers; default true. */
  readonly ecn?: boolean;
  /** The link's silence is to be known within this when nothing flows, microseconds; default 1 s. */
  readonly keepaliveUs?: number;
}
