/**
 * Puts the tag behind the messages that the session sends as they are. The same tag as the addon's:
 * HMAC-SHA256 over the upper half of the 64-bit sequence number and the message, cut to 16 octets.
 */
import { createHmac } from "node:crypto";
import { TAG_OCTETS } from "../wire/message.ts";

/** @param message - preamble and body, without a tag */
export function seal(key: Uint8Array, seq: number, message: Uint8Array): Uint8Array {
  const tag = messageTag(key, seq, message, TAG_OCTETS);
  return Buffer.concat([message, tag]);
}

/** @param seq - 64 bits, exact below 2^53 */
export function messageTag(
  key: Uint8Array,
  seq: number,
  message: Uint8Array,
  octets: number,
): Uint8Array {
  const upper = new Uint8Array(4);
  new DataView(upper.buffer).setUint32(0, Math.floor(seq / 0x1_0000_0000));
  return createHmac("sha256", key).update(upper).update(message).digest().subarray(0, octets);
}
