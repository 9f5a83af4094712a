/** One portal of the model: its ladder, and a link that sends DATA as fast as acknowledgements allow. */
import type { SeededRandom } from "../../src/core/random.ts";
import { TRANSPORTS, type Transport } from "../../src/core/transport.ts";
import { Ladder, type TransportSwitch } from "../../src/ladder/ladder.ts";

export const FULL_OCTETS = 1440;

export type Side = "local" | "remote";
export const SIDES: readonly Side[] = ["local", "remote"];

export interface Packet {
  readonly sentUs: number;
  readonly octets: number;
}

export interface TimedSwitch extends TransportSwitch {
  readonly atUs: number;
}

export class Portal {
  readonly side: Side;
  readonly ladder: Ladder;
  /** Full packets a second while DATA flows; 0: idle. */
  packetsPerSecond = 0;
  /** Every so manieth packet is a small one; 0: none is. */
  smallEvery = 0;
  readonly switches: TimedSwitch[] = [];
  readonly hellos: number[] = TRANSPORTS.map(() => 0);
  helloOctets = 0;
  polls = 0;
  delivered = 0;
  lastDeliveredUs = 0;
  /** Longest time without a delivery while there was DATA to send. */
  gapUs = 0;
  flight: Packet[] = [];
  silent = false;
  heardUs = 0;
  dueUs = 0;
  probeUs = 0;
  count = 0;
  rawHeardUs = Number.NEGATIVE_INFINITY;

  constructor(side: Side, allowed: readonly Transport[], random: SeededRandom) {
    this.side = side;
    this.ladder = new Ladder({
      ...{ role: side, allowed, random: random.octets, fullOctets: FULL_OCTETS },
    });
  }
}
