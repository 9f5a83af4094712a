/**
 * RESET: "I have restarted and know nothing of this link." The preamble names the link id that the
 * client sends to, its sequence number is random and means nothing, and the tag is a token that only
 * the two ends of the forgotten session can compute (as a stateless reset of QUIC, RFC 9000 10.3).
 *
 *   RESET  preamble 8 | token 16
 */
import { createMessage, TAG_OCTETS } from "./message.ts";
import { PREAMBLE_OCTETS, TYPE } from "./preamble.ts";

/** With the token; never longer than the FEEDBACK or CONTROL it answers. */
export const RESET_OCTETS = PREAMBLE_OCTETS + TAG_OCTETS;

export function encodeReset(linkId: number, seq: number, token: Uint8Array): Uint8Array {
  const message = createMessage({ type: TYPE.reset, linkId, seq }, RESET_OCTETS);
  message.set(token, PREAMBLE_OCTETS);
  return message;
}
