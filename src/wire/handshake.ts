/**
 * INIT, RESP and RETRY: octets to fields and back. What is inside `noise` is sealed by
 * `session/noise.ts`; its two plain texts, the offer and the choice, are in `offer.ts`.
 *
 *   INIT   preamble 8 | client id 8 | version 1 | 0 3 | noise 108 (e 32, sealed offer 76) | cookie 16
 *   RESP   preamble 8 | noise 136 (e 32, sealed choice 104)
 *   RETRY  preamble 8 | cookie 16
 *
 * Behind each stands a 16-octet tag. INIT and RESP have the same length, 160 octets with it, so that
 * no answer is larger than its question.
 */

import { copyOf, createMessage, readLinkId } from "./message.ts";
import { CHOICE_OCTETS, OFFER_OCTETS } from "./offer.ts";
import { PREAMBLE_OCTETS, TYPE } from "./preamble.ts";

export const VERSION = 1;
export const CLIENT_ID_OCTETS = 8;
export const EPHEMERAL_OCTETS = 32;
export const COOKIE_OCTETS = 16;
const AEAD_TAG_OCTETS = 16;

const INIT_NOISE_OCTETS = EPHEMERAL_OCTETS + OFFER_OCTETS + AEAD_TAG_OCTETS;
const RESP_NOISE_OCTETS = EPHEMERAL_OCTETS + CHOICE_OCTETS + AEAD_TAG_OCTETS;
const INIT_AT = {
  clientId: PREAMBLE_OCTETS,
  version: PREAMBLE_OCTETS + CLIENT_ID_OCTETS,
  noise: 20,
  cookie: 20 + INIT_NOISE_OCTETS,
  end: 20 + INIT_NOISE_OCTETS + COOKIE_OCTETS,
} as const;

/** Without tags. */
export const INIT_OCTETS = INIT_AT.end;
export const RESP_OCTETS = PREAMBLE_OCTETS + RESP_NOISE_OCTETS;
export const RETRY_OCTETS = PREAMBLE_OCTETS + COOKIE_OCTETS;

export interface Init {
  /** Where RESP and RETRY go. */
  readonly replyId: number;
  /** Client id, version and reserved octets as they stand: part of the Noise prologue. */
  readonly identity: Uint8Array;
  readonly noise: Uint8Array;
  /** All 0 before a RETRY. */
  readonly cookie: Uint8Array;
}

/** The octets of INIT that the prologue repeats. */
export function initIdentity(clientId: Uint8Array): Uint8Array {
  const identity = new Uint8Array(INIT_AT.noise - INIT_AT.clientId);
  identity.set(clientId);
  identity[CLIENT_ID_OCTETS] = VERSION;
  return identity;
}

export function encodeInit(init: Init): Uint8Array {
  const message = createMessage({ type: TYPE.init, linkId: init.replyId, seq: 0 }, INIT_OCTETS);
  message.set(init.identity, INIT_AT.clientId);
  message.set(init.noise, INIT_AT.noise);
  message.set(init.cookie, INIT_AT.cookie);
  return message;
}

/** The fields are views on `message`. */
export function decodeInit(message: Uint8Array): Init | "truncated" | "badVersion" {
  if (message.length !== INIT_OCTETS) return "truncated";
  if (message[INIT_AT.version] !== VERSION) return "badVersion";
  return {
    replyId: readLinkId(message),
    identity: message.subarray(INIT_AT.clientId, INIT_AT.noise),
    noise: message.subarray(INIT_AT.noise, INIT_AT.cookie),
    cookie: message.subarray(INIT_AT.cookie, INIT_AT.end),
  };
}

export function encodeResp(replyId: number, noise: Uint8Array): Uint8Array {
  const message = createMessage({ type: TYPE.resp, linkId: replyId, seq: 0 }, RESP_OCTETS);
  message.set(noise, PREAMBLE_OCTETS);
  return message;
}

/** The Noise message, a view on `message`. */
export function decodeResp(message: Uint8Array): Uint8Array | "truncated" {
  if (message.length !== RESP_OCTETS) return "truncated";
  return message.subarray(PREAMBLE_OCTETS);
}

export function encodeRetry(replyId: number, cookie: Uint8Array): Uint8Array {
  const message = createMessage({ type: TYPE.retry, linkId: replyId, seq: 0 }, RETRY_OCTETS);
  message.set(cookie, PREAMBLE_OCTETS);
  return message;
}

/** A copy of the cookie. */
export function decodeRetry(message: Uint8Array): Uint8Array | "truncated" {
  if (message.length !== RETRY_OCTETS) return "truncated";
  return copyOf(message, PREAMBLE_OCTETS);
}
