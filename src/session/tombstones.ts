/**
 * What a Remote Portal remembers of its links over a restart: enough to recognise a client's CONTROL
 * or FEEDBACK and to answer it with RESET, and nothing with which data could be read or made.
 *
 *   record   "MPFR" | version 1 | entries
 *   entry    client id 8 | link id 3 | control key up 32 | reset token 16
 */

import { CLIENT_ID_OCTETS } from "../wire/handshake.ts";
import { readUint24, TAG_OCTETS, writeUint24 } from "../wire/message.ts";
import { TOMBSTONES_MAX } from "./limits.ts";

const MAGIC = Buffer.from("MPFR\u0001", "latin1");
const KEY_OCTETS = 32;
const AT = { linkId: CLIENT_ID_OCTETS, control: 11, token: 11 + KEY_OCTETS } as const;
const ENTRY_OCTETS = AT.token + TAG_OCTETS;

export interface Tombstone {
  readonly clientId: Uint8Array;
  /** The link id that the Remote Portal listened on. */
  readonly linkId: number;
  /** Key of the client's CONTROL and FEEDBACK. */
  readonly control: Uint8Array;
  readonly token: Uint8Array;
}

/** The first TOMBSTONES_MAX entries. */
export function encodeTombstones(tombstones: readonly Tombstone[]): Uint8Array {
  const kept = tombstones.slice(0, TOMBSTONES_MAX);
  const record = new Uint8Array(MAGIC.length + kept.length * ENTRY_OCTETS);
  record.set(MAGIC);
  kept.forEach((tombstone, index) => {
    const entry = record.subarray(MAGIC.length + index * ENTRY_OCTETS);
    entry.set(tombstone.clientId);
    writeUint24(entry, AT.linkId, tombstone.linkId);
    entry.set(tombstone.control, AT.control);
    entry.set(tombstone.token, AT.token);
  });
  return record;
}

/** Null when the octets are not such a record. */
export function decodeTombstones(record: Uint8Array): Tombstone[] | null {
  const rest = record.length - MAGIC.length;
  if (rest < 0 || rest % ENTRY_OCTETS !== 0 || rest > TOMBSTONES_MAX * ENTRY_OCTETS) return null;
  if (Buffer.compare(record.subarray(0, MAGIC.length), MAGIC) !== 0) return null;
  return Array.from({ length: rest / ENTRY_OCTETS }, (_, index) => {
    const at = MAGIC.length + index * ENTRY_OCTETS;
    const entry = record.slice(at, at + ENTRY_OCTETS);
    return {
      clientId: entry.subarray(0, CLIENT_ID_OCTETS),
      linkId: readUint24(entry, AT.linkId),
      control: entry.subarray(AT.control, AT.token),
      token: entry.subarray(AT.token),
    };
  });
}
