/**
 * Which link takes the packet at the head of the queue: of those that have window and pacing budget,
 * the one on which it is expected to arrive first. Links that are full are passed over, so that under
 * load every link pulls what it can carry.
 */
import type { TimeUs } from "../core/time.ts";
import type { Link } from "../link/link.ts";

/** The link to take a packet of `bytes` octets now, or undefined when none may. */
export function pickLink(links: readonly Link[], nowUs: TimeUs, bytes: number): Link | undefined {
  let best: Link | undefined;
  let bestDelayUs = Number.POSITIVE_INFINITY;
  for (let index = 0; index < links.length; index += 1) {
    const link = links[index] as Link;
    if (!link.mayTake(nowUs, bytes)) continue;
    const delayUs = link.sender.expectedDelayUs();
    if (delayUs >= bestDelayUs) continue;
    best = link;
    bestDelayUs = delayUs;
  }
  return best;
}
