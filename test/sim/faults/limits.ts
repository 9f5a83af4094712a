/**
 * What must hold at a portal at the end of every wake-up: queues within their named limits, nothing left
 * where it should have been taken, and no timer that is due again at once, again and again.
 */

import type { Egress } from "../../../src/bond/egress.ts";
import { QUEUE_BYTES_MAX, QUEUE_PACKETS_MAX } from "../../../src/bond/queue.ts";
import { PACKETS_MAX as REPAIR_PACKETS_MAX } from "../../../src/bond/repair.ts";
import { HELD_MAX, type Resequencer } from "../../../src/bond/resequencer.ts";
import { SECOND, type TimeUs } from "../../../src/core/time.ts";
import type { Portal } from "../portal.ts";

/** Wake-ups in a row that leave something due: work may need a few, a loop never ends. */
const OVERDUE_MAX = 20;
/** Wake-ups a second: a packet each way costs a few, pacing up to two a millisecond. */
const WAKES_A_SECOND_MAX = 8_000;

/** The highest that was seen. */
export interface Peaks {
  queuePackets: number;
  repairPackets: number;
  heldPackets: number;
  wakesASecond: number;
}

export class Limits {
  /** All that this portal has had, one after the other: each restart and each session brings new ones. */
  readonly egresses = new Set<Egress>();
  readonly arrivals = new Set<Resequencer>();
  readonly peaks: Peaks = { queuePackets: 0, repairPackets: 0, heldPackets: 0, wakesASecond: 0 };
  readonly #portal: Portal;
  readonly #name: string;
  readonly #fail: (what: string) => void;
  #secondUs: TimeUs = 0;
  #wakes = 0;

  constructor(portal: Portal, name: string, fail: (what: string) => void) {
    this.#portal = portal;
    this.#name = name;
    this.#fail = fail;
  }

  /** Looks at the portal; called at the end of its wake-ups. */
  look(nowUs: TimeUs): void {
    const { egress, arrived, links } = this.#portal.bond;
    this.egresses.add(egress);
    this.arrivals.add(arrived);
    const { peaks } = this;
    peaks.queuePackets = Math.max(peaks.queuePackets, egress.queue.packets);
    peaks.repairPackets = Math.max(peaks.repairPackets, egress.repair.packets);
    peaks.heldPackets = Math.max(peaks.heldPackets, arrived.heldCount);
    this.#atMost("queue.packets", egress.queue.packets, QUEUE_PACKETS_MAX);
    this.#atMost("queue.bytes", egress.queue.bytes, QUEUE_BYTES_MAX);
    this.#atMost("repair.packets", egress.repair.packets, REPAIR_PACKETS_MAX);
    this.#atMost("arrived.heldCount", arrived.heldCount, HELD_MAX);
    this.#atMost("arrived.readyCount", arrived.readyCount, 0);
    this.#atMost("wake-ups with something due still", this.#portal.overdue, OVERDUE_MAX);
    for (let index = 0; index < links.length; index += 1) {
      const link = links[index];
      if (link === undefined) continue;
      this.#atMost(`link ${index}: outbox`, link.outboxCount, link.outbox.length);
      if (!link.blocked) this.#atMost(`link ${index}: undrained outbox`, link.outboxCount, 0);
      if (link.sender.inFlightBytes < 0) this.#fail(`${this.#name}: link ${index}: flight below 0`);
    }
    this.#countWake(nowUs);
  }

  #countWake(nowUs: TimeUs): void {
    this.#wakes += 1;
    if (nowUs - this.#secondUs < SECOND) return;
    this.peaks.wakesASecond = Math.max(this.peaks.wakesASecond, this.#wakes);
    this.#atMost("wake-ups a second", this.#wakes, WAKES_A_SECOND_MAX);
    this.#secondUs = nowUs;
    this.#wakes = 0;
  }

  #atMost(what: string, value: number, limit: number): void {
    if (value <= limit) return;
    this.#fail(`${this.#name}: ${what} is ${value}, at most ${limit}`);
  }
}
