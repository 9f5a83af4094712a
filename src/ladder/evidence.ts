/** What HELLOs that were sent at the same time by two transports, and seen or not, say about the two. */
import { MS, SECOND, type TimeUs } from "../core/time.ts";
import type { Rung } from "./rung.ts";
import type { HelloKind } from "./sent.ts";

/** A transport is alive when this many of its HELLOs were seen, */
const SEEN_MIN = 2;
/** and another is dead when none of this many was: with 10 % of loss once in a thousand trials. */
const UNSEEN_MIN = 3;
/** They were sent over this long, so that a path that is merely slower by as much is not taken for dead. */
const SPAN_MIN_US = 100 * MS;
/** A connection that was made meanwhile is a round trip by itself, and what follows it comes in order. */
const SPAN_STREAM_US = 50 * MS;
/** A canary that is not seen weighs less than DATA: two, and a suspicion that looks closer. */
const UNSEEN_CANARIES = 2;
/** What was seen longer ago says nothing about now: two idle canaries and a margin. */
const FRESH_US = 40 * SECOND;

/**
 * What is sent by `candidate` since `sinceUs` is seen, what is sent by `suspect` at the same time is not. Only
 * HELLOs sent side by side count, so that an outage of both, which one outlives by chance, is no evidence.
 */
export function survives(
  candidate: Rung,
  suspect: Rung,
  sinceUs: TimeUs,
  nowUs: TimeUs,
  kind: HelloKind,
): boolean {
  const alive = candidate.sent.tally(sinceUs, nowUs, kind);
  const spanUs = candidate.transport === "tcp" ? SPAN_STREAM_US : SPAN_MIN_US;
  if (alive.seen < SEEN_MIN || alive.lastSeenUs - alive.firstSeenUs < spanUs) return false;
  const beside = suspect.sent.tally(alive.firstSeenUs, alive.lastSeenUs, kind);
  const later = suspect.sent.tally(alive.firstSeenUs, nowUs, kind);
  return beside.sent >= UNSEEN_MIN && later.seen === 0;
}

/**
 * Canaries of `rung` were missed, though the peer has seen what was sent after them by another.
 *
 * @param graceUs - how long a report may take: what was sent since does not count
 */
export function fallsBehind(
  rung: Rung,
  others: readonly Rung[],
  nowUs: TimeUs,
  graceUs: number,
): boolean {
  const seenUs = Math.max(...others.map((other) => other.sent.lastSeenUs));
  const afterUs = Math.max(rung.sent.lastSeenUs + 1, seenUs - FRESH_US);
  const missed = rung.sent.tally(afterUs, Math.min(seenUs, nowUs - graceUs), "any");
  return missed.sent >= UNSEEN_CANARIES;
}

/** What was sent by it lately was seen. */
export function seenLately(rung: Rung, nowUs: TimeUs): boolean {
  return rung.usable && nowUs - rung.sent.lastSeenUs <= FRESH_US;
}
