/** Which octets of a train packet were changed on its way: its filling and what repeats in it are known. */
import { transportOf } from "../core/transport.ts";
import { fillingAt, MEASURE, POSITIONS_MAX, TRAIN_OCTETS } from "../wire/measure.ts";
import { bodyOf, TAG_OCTETS } from "../wire/message.ts";
import { PREAMBLE_OCTETS } from "../wire/preamble.ts";

export interface Mangling {
  /** Number of the transport that it was sent by. */
  readonly transport: number;
  /** Counted from the preamble on, ascending, at most POSITIONS_MAX; none: not in the filling. */
  readonly positions: readonly number[];
  /** Octets are missing behind, or there are more than were sent. */
  readonly resized: boolean;
}

/** Of 16 octets of filling so many must be right, or this was no train packet. */
const KNOWN_SHARE = 0.5;

/**
 * @param octets - a message whose tag is wrong, from the preamble on, with or without its tag
 * @returns null when it is no train packet that can be told
 */
export function manglingOf(octets: Uint8Array): Mangling | null {
  const body = bodyOf(octets);
  const transport = body[2];
  if (transport === undefined || transportOf(transport) === undefined) return null;
  const told = ((body[10] as number) << 8) | (body[11] as number);
  // Where the length itself was changed, the filling ends where a tag may begin.
  const fits = told === body.length || told + TAG_OCTETS === body.length;
  const end = fits ? told : body.length - TAG_OCTETS;
  const changed: number[] = body[0] === MEASURE.train ? [] : [PREAMBLE_OCTETS];
  for (let at = TRAIN_OCTETS; at < end; at += 1) {
    if (body[at] !== fillingAt(at)) changed.push(PREAMBLE_OCTETS + at);
  }
  if (changed.length > Math.max(1, (end - TRAIN_OCTETS) * KNOWN_SHARE)) return null;
  return { transport, positions: changed.slice(0, POSITIONS_MAX), resized: !fits };
}
