/** When a portal logged something, from its log's own stamps: this machine's wall clock, milliseconds. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "../../portal-files.ts";
import type { Portals } from "../../portals.ts";

const LIMIT_MS = 5_000;
const LOOK_MS = 20;

/** Milliseconds from `sinceMs` (`Date.now()`) until the first such line; NaN: none came in time. */
export async function loggedAfter(
  portals: Portals,
  side: Side,
  line: RegExp,
  sinceMs: number,
): Promise<number> {
  const limit = performance.now() + LIMIT_MS;
  for (;;) {
    for (const text of portals.log(side).split("\n")) {
      const atMs = Date.parse(text.split(" ", 1)[0] ?? "");
      if (atMs >= sinceMs && line.test(text)) return atMs - sinceMs;
    }
    if (performance.now() > limit) return Number.NaN;
    await sleep(LOOK_MS);
  }
}
