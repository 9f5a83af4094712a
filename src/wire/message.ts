/**
 * Messages outside the data path, each in octets of its own: the preamble and the fields that several
 * of them share. Their bodies are in `handshake.ts`, `attach.ts`, `control.ts` and `reset.ts`.
 * Nothing here knows a key: the tag is put behind by `session` or the addon.
 */
import { PREAMBLE_OCTETS } from "./preamble.ts";

/** Octets of the tag of every message but DATA. */
export const TAG_OCTETS = 16;
/** Largest link id; 0 names nobody. */
export const LINK_ID_MAX = 0xff_ffff;

export interface MessageHead {
  /** TYPE. */
  readonly type: number;
  /** 24 bits. */
  readonly linkId: number;
  /** The low 32 bits go on the wire. */
  readonly seq: number;
}

/** A message of `octets` octets without its tag: the preamble, then zeros. */
export function createMessage(head: MessageHead, octets: number): Uint8Array {
  const message = new Uint8Array(octets);
  const view = new DataView(message.buffer);
  view.setUint32(0, ((head.type << 28) | head.linkId) >>> 0);
  view.setUint32(4, head.seq % 0x1_0000_0000);
  return message;
}

/** Octets behind the preamble. */
export function bodyOf(message: Uint8Array): Uint8Array {
  return message.subarray(PREAMBLE_OCTETS);
}

/** A copy; `slice` of a Buffer would be a view. */
export function copyOf(octets: Uint8Array, from: number, to = octets.length): Uint8Array {
  return new Uint8Array(octets.subarray(from, to));
}

/** The 24-bit number at `at`. */
export function readUint24(octets: Uint8Array, at: number): number {
  return (
    ((octets[at] as number) << 16) | ((octets[at + 1] as number) << 8) | (octets[at + 2] as number)
  );
}

export function writeUint24(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 16;
  octets[at + 1] = (value >>> 8) & 0xff;
  octets[at + 2] = value & 0xff;
}

/** The link id in a message's preamble. */
export function readLinkId(message: Uint8Array): number {
  return readUint24(message, 1);
}
