/**
 * What a schedule excuses. A packet that left may be lost for good only if every link was disturbed within the
 * time for which it would have been sent again: on a link to which nothing happens it gets through. And it may
 * come out of order only if some link was disturbed then.
 */
import { MS, SECOND, type TimeUs } from "../../../src/core/time.ts";
import type { Fault } from "./fault.ts";
import type { Schedule } from "./schedule.ts";

/** For how long a packet is sent again (`bond/repair.ts`), and the way there and back for the last of it. */
const REPAIRED_US = 700 * MS;
/** After a fault a link is asked every 0.4 s, and has to find out how fast it is. */
const LINK_RECOVERS_US = 2 * SECOND;
/** A portal that comes back makes a new session, link by link. */
const PORTAL_RECOVERS_US = 4 * SECOND;

interface Disturbance {
  readonly fromUs: TimeUs;
  readonly toUs: TimeUs;
}

export class Reasons {
  readonly #disturbed: Disturbance[][];

  constructor({ links, faults }: Schedule) {
    this.#disturbed = links.map((_, link) => faults.flatMap((fault) => disturbances(fault, link)));
  }

  /** All links begin anew at this moment, or come back from a silence of all. */
  renewed(nowUs: TimeUs): void {
    const whole = { fromUs: nowUs - REPAIRED_US, toUs: nowUs + PORTAL_RECOVERS_US };
    for (const list of this.#disturbed) list.push(whole);
  }

  /** A packet that first left at this moment may have been lost. */
  mayLose(leftUs: TimeUs): boolean {
    return this.#disturbed.every((list) => disturbs(list, leftUs, leftUs + REPAIRED_US));
  }

  /** Nothing happened to any link for some time before this moment. */
  calm(nowUs: TimeUs): boolean {
    return !this.#disturbed.some((list) => disturbs(list, nowUs - REPAIRED_US, nowUs));
  }
}

function disturbs(list: readonly Disturbance[], fromUs: TimeUs, untilUs: TimeUs): boolean {
  return list.some((one) => one.fromUs <= untilUs && fromUs <= one.toUs);
}

function disturbances(fault: Fault, link: number): Disturbance[] {
  const [fromUs, toUs] = [fault.fromMs * MS, fault.toMs * MS];
  if (fault.kind === "restart" || fault.kind === "suspend" || fault.kind === "clock") {
    return [{ fromUs, toUs: toUs + PORTAL_RECOVERS_US }];
  }
  // Nothing is lost by it, and nothing overtakes.
  if (fault.kind === "rekey") return [];
  return fault.link === link ? [{ fromUs, toUs: toUs + LINK_RECOVERS_US }] : [];
}
