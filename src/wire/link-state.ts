/**
 * Body of LINK_STATE, a CONTROL message by which a portal tells over one link what has become of
 * another: its device, address or route there is gone, or is back. It names a link of the session and
 * says nothing of why.
 *
 *   0  what 1 (10) | link 1 | state 1 | 0 1 | number 4
 *
 * Octets behind are ignored. The number rises with all news of one sender within a session.
 */
import { LINK_NUMBER_MAX } from "./attach.ts";
import { bodyOf } from "./message.ts";

/** First octet of a CONTROL body that is a LINK_STATE. */
export const LINK_STATE_SUBTYPE = 10;

const AT = { what: 0, link: 1, state: 2, number: 4, end: 8 } as const;
const STATES = ["unusable", "restored"] as const;

export interface LinkState {
  /** 0..15. */
  readonly link: number;
  /** Nothing arrives over the link nor leaves by it, until it is restored. */
  readonly state: (typeof STATES)[number];
  /** 32 bits: of two LINK_STATEs about one link the one with the higher number is newer. */
  readonly number: number;
}

/** The body alone. */
export function encodeLinkState({ link, state, number }: LinkState): Uint8Array {
  const body = new Uint8Array(AT.end);
  body[AT.what] = LINK_STATE_SUBTYPE;
  body[AT.link] = link;
  body[AT.state] = STATES.indexOf(state);
  new DataView(body.buffer).setUint32(AT.number, number);
  return body;
}

/**
 * @param message - from the preamble on
 * @returns "unknownControl" for a link or a state that this version does not know
 */
export function decodeLinkState(message: Uint8Array): LinkState | "truncated" | "unknownControl" {
  const body = bodyOf(message);
  if (body.length < AT.end) return "truncated";
  const link = body[AT.link] as number;
  const state = STATES[body[AT.state] as number];
  if (body[AT.what] !== LINK_STATE_SUBTYPE || state === undefined || link > LINK_NUMBER_MAX) {
    return "unknownControl";
  }
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return { link, state, number: view.getUint32(AT.number) };
}
