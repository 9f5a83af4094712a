/**
 * The queue at a link's bottleneck, seen by pings from portal to portal over that link beside the
 * tunnel: they wait behind what the tunnel has put there and in nothing of the tunnel's own.
 */

import { round } from "../result.ts";
import type { Lab } from "../topology/lab.ts";
import { ADDRESS } from "../topology/names.ts";
import { ping, quantile } from "./ping.ts";

/** Round trips in milliseconds. */
export type Delays = readonly number[];

const INTERVAL_SECONDS = 0.02;
const IDLE_SECONDS = 1;
const SHARE = 0.95;

/** Round trips over each of the links at the same time, for so many seconds. */
export function linkDelays(
  lab: Lab,
  links: readonly number[],
  seconds: number,
): Promise<readonly Delays[]> {
  const count = Math.max(1, Math.floor(seconds / INTERVAL_SECONDS));
  return Promise.all(
    links.map(async (link) => {
      const way = { source: ADDRESS.access(4, link, 2), to: ADDRESS.transit(4, link, 2) };
      const { times } = await ping(lab, {
        ...{ from: "lp", ...way, count, interval: INTERVAL_SECONDS },
      });
      return times;
    }),
  );
}

export function idleDelays(lab: Lab, links: readonly number[]): Promise<readonly Delays[]> {
  return linkDelays(lab, links, IDLE_SECONDS);
}

/** Milliseconds between the 95th percentiles; null when no ping came back. */
export function queueMs(loaded: Delays, idle: Delays): number | null {
  const added = quantile(loaded, SHARE) - quantile(idle, SHARE);
  return Number.isFinite(added) ? round(added, 1) : null;
}
