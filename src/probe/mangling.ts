/** Which octets of a train packet were changed on its way: its filling and its repeated fields tell. */
import { transportOf } from "../core/transport.ts";
import { COPIES_OCTETS, fillingAt, MEASURE, POSITIONS_MAX, TRAIN_OCTETS } from "../wire/measure.ts";
import { bodyOf, TAG_OCTETS } from "../wire/message.ts";
import { PREAMBLE_OCTETS } from "../wire/preamble.ts";

export interface Mangling {
  /** Number of the transport that it was sent by. */
  readonly transport: number;
  /** Counted from the preamble on, ascending, at most POSITIONS_MAX; none: in the tag or the preamble. */
  readonly positions: readonly number[];
}

/** If more of the filling is wrong, this was no train packet. */
const CHANGED_SHARE_MAX = 0.5;
/** Where the fields say which transport and how long. */
const AT = { subtype: 0, transport: 2, octets: 10 } as const;

/**
 * @param octets - a message whose tag is wrong, from the preamble on, with or without its tag
 * @returns null when it is no train packet that can be told
 */
export function manglingOf(octets: Uint8Array): Mangling | null {
  const body = bodyOf(octets);
  const copied = body.length >= COPIES_OCTETS;
  const field = (at: number) => (copied ? voted(body, at) : (body[at] ?? 0));
  const transport = field(AT.transport);
  if (field(AT.subtype) !== MEASURE.train || transportOf(transport) === undefined) return null;
  const told = (field(AT.octets) << 8) | field(AT.octets + 1);
  // Cut or lengthened: the filling ends where a tag may begin.
  const fits = told === body.length || told + TAG_OCTETS === body.length;
  const end = fits ? told : body.length - TAG_OCTETS;
  const changed: number[] = copied ? changedFields(body) : [];
  const from = copied ? COPIES_OCTETS : TRAIN_OCTETS;
  for (let at = from; at < end; at += 1) if (body[at] !== fillingAt(at)) changed.push(at);
  if (changed.length > Math.max(4, (end - TRAIN_OCTETS) * CHANGED_SHARE_MAX)) return null;
  const positions = changed.slice(0, POSITIONS_MAX).map((at) => PREAMBLE_OCTETS + at);
  return { transport, positions };
}

/** What two of a field and its two copies say; the field itself when all differ. */
function voted(body: Uint8Array, at: number): number {
  const copy = body[at + TRAIN_OCTETS] as number;
  const inverse = (body[at + 2 * TRAIN_OCTETS] as number) ^ 0xff;
  return copy === inverse ? copy : (body[at] as number);
}

/** Places in the fields and their copies that differ from what the other two say. */
function changedFields(body: Uint8Array): number[] {
  const changed: number[] = [];
  for (let at = 0; at < COPIES_OCTETS; at += 1) {
    const said = (body[at] as number) ^ (at < 2 * TRAIN_OCTETS ? 0 : 0xff);
    if (said !== voted(body, at % TRAIN_OCTETS)) changed.push(at);
  }
  return changed;
}
