/** Watches both portals of a lab while something happens to them. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Portals } from "../../portals.ts";

const SIDES = ["local", "remote"] as const;
const LOOK_MS = 200;
const DEAD: readonly string[] = ["down", "connecting"];
const MIB = 2 ** 20;

export interface Observed {
  /** The longest time that a control socket took to answer, milliseconds. */
  readonly statusMs: number;
  /** Resident memory of the fatter portal: at first, and the most it grew to, MiB. */
  readonly rssFirst: number;
  readonly rssMost: number;
  /** What of that came in the second half of the time. */
  readonly rssLate: number;
  /** Looks at which a link was down or not attached, of all looks. */
  readonly linksDown: number;
  readonly looks: number;
  /** Packets in the fuller queue, at most. */
  readonly queuePackets: number;
}

/** Until `work` is done. @throws MpfwdError when a portal ends or does not answer */
export async function observe<T>(
  portals: Portals,
  work: Promise<T>,
): Promise<{ readonly result: T; readonly seen: Observed }> {
  const rss: number[] = [];
  const seen = { statusMs: 0, linksDown: 0, looks: 0, queuePackets: 0 };
  const rssFirst = rssOf(portals);
  let done = false;
  const result = work.finally(() => {
    done = true;
  });
  // Whoever awaits it below hears of a failure.
  result.catch(() => {});
  while (!done) {
    for (const side of SIDES) {
      const startMs = performance.now();
      const { peers, queuePackets } = await portals.status(side);
      seen.statusMs = Math.max(seen.statusMs, performance.now() - startMs);
      seen.queuePackets = Math.max(seen.queuePackets, queuePackets);
      seen.looks += 1;
      const dead = peers.flatMap(({ links }) => links).some(({ state }) => DEAD.includes(state));
      if (dead) seen.linksDown += 1;
    }
    rss.push(rssOf(portals));
    await sleep(LOOK_MS);
  }
  const rssMost = Math.max(...rss);
  const rssLate = rssMost - Math.max(...rss.slice(0, Math.ceil(rss.length / 2)));
  return { result: await result, seen: { ...seen, rssFirst, rssMost, rssLate } };
}

function rssOf(portals: Portals): number {
  return Math.max(...SIDES.map((side) => rssBytes(portals.pid(side)))) / MIB;
}

/** Resident memory of a process, octets: VmRSS of `/proc/PID/status` (proc(5)). */
export function rssBytes(pid: number): number {
  const [, kilobytes = "0"] =
    /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}
