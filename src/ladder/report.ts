/** What `mpfwd status` says of one transport. */
import { NEVER, SECOND, type TimeUs } from "../core/time.ts";
import { fallsBehind, seenLately } from "./evidence.ts";
import type { Rung } from "./rung.ts";
import type { RungStatus } from "./status.ts";
import type { Steering } from "./steering.ts";

/** A HELLO that was not reported within this is missed. */
const GRACE_US = SECOND;

export function rungStatus(nowUs: TimeUs, rung: Rung, steering: Steering): RungStatus {
  const { lastUs } = rung.hearing;
  return {
    transport: rung.transport,
    usable: rung.usable,
    works: worksOf(nowUs, rung, steering),
    lastHeardUs: lastUs === -NEVER ? null : lastUs,
    retryUs: retryOf(nowUs, rung, steering),
  };
}

function worksOf(nowUs: TimeUs, rung: Rung, { rungs }: Steering): RungStatus["works"] {
  if (!rung.usable) return "unknown";
  const others = rungs.filter((other) => other !== rung && other.usable);
  if (rung.retry.waits(nowUs)) return "no";
  if (others.length > 0 && fallsBehind(rung, others, nowUs, GRACE_US)) return "no";
  return seenLately(rung, nowUs) ? "yes" : "unknown";
}

function retryOf(nowUs: TimeUs, rung: Rung, { current, carried }: Steering): TimeUs | null {
  if (current === null || rung.rank >= current.rank) return null;
  const untilUs = Math.max(rung.retry.untilUs, carried.damping.pinnedUntilUs);
  return untilUs > nowUs ? untilUs : null;
}
