/**
 * Body of HELLO, a CONTROL message by which two portals find out which transports carry a link's
 * messages, in which direction and up to which size (`ladder`).
 *
 *    0  what 1 (5)  | transport 1 | flags 1  | carries 1
 *    4  number 4    | nonce 4     | refused 2 | 0 2
 *   16  for raw, UDP and TCP: highest 4 | bitmap 4 | echo 4
 *   52  zeros, up to the size that is to be tried
 *
 * Octets behind byte 52 mean nothing but their count. Later versions may use what is reserved.
 */
import { TRANSPORTS } from "../core/transport.ts";
import { bodyOf, TAG_OCTETS } from "./message.ts";
import { PREAMBLE_OCTETS } from "./preamble.ts";

/** First octet of a CONTROL body that is a HELLO. */
export const HELLO_SUBTYPE = 5;
/** Numbers before the highest that a report can tell of. */
export const HELLO_BITMAP_BITS = 32;
/** `carries` of a sender that sends no DATA by any transport. */
export const CARRIES_NONE = 0xff;

const AT = {
  what: 0,
  transport: 1,
  flags: 2,
  carries: 3,
  number: 4,
  nonce: 8,
  refused: 12,
} as const;
const SEEN_AT = 16;
const SEEN_OCTETS = 12;
const FLAG = { ask: 1, full: 2 } as const;
const BODY_OCTETS = SEEN_AT + TRANSPORTS.length * SEEN_OCTETS;

/** Of the shortest HELLO message, preamble and tag included. */
export const HELLO_OCTETS = PREAMBLE_OCTETS + BODY_OCTETS + TAG_OCTETS;

/** What the sender of a HELLO has seen of the peer's HELLOs by one transport. */
export interface HelloSeen {
  /** The highest number seen, 0 for none. */
  readonly highest: number;
  /** Bit i: number `highest - 1 - i` was seen. */
  readonly bitmap: number;
  /** The peer's nonce there as heard last, 0 for none. */
  readonly echo: number;
}

export interface Hello {
  /** Number of the transport that it is sent by; 0..2 in version 1. */
  readonly transport: number;
  /** Number of the transport that carries the sender's DATA, or CARRIES_NONE. */
  readonly carries: number;
  /** The sender wants an answer at once, on every transport. */
  readonly ask: boolean;
  /** It is as long as a full DATA message: a trial of size. */
  readonly full: boolean;
  /** 32 bits, one series per transport and direction, from 1. */
  readonly number: number;
  /** 32 bits, random, of the sender for this transport and path; never 0. */
  readonly nonce: number;
  /** Messages with a bad tag that the sender has refused on this link so far, low 16 bits. */
  readonly badTags: number;
  /** By transport number: 0 raw, 1 UDP, 2 TCP. */
  readonly seen: readonly HelloSeen[];
  /** Octets of the message, preamble and tag included; HELLO_OCTETS or more. */
  readonly octets: number;
}

/** The body alone, padded so that the message has `hello.octets` octets in all. */
export function encodeHello(hello: Hello): Uint8Array {
  const padded = hello.octets - PREAMBLE_OCTETS - TAG_OCTETS;
  const body = new Uint8Array(Math.max(padded, BODY_OCTETS));
  const view = new DataView(body.buffer);
  body[AT.what] = HELLO_SUBTYPE;
  body[AT.transport] = hello.transport;
  body[AT.flags] = (hello.ask ? FLAG.ask : 0) | (hello.full ? FLAG.full : 0);
  body[AT.carries] = hello.carries;
  view.setUint32(AT.number, hello.number);
  view.setUint32(AT.nonce, hello.nonce);
  view.setUint16(AT.refused, hello.badTags & 0xffff);
  hello.seen.forEach(({ highest, bitmap, echo }, index) => {
    const at = SEEN_AT + index * SEEN_OCTETS;
    view.setUint32(at, highest);
    view.setUint32(at + 4, bitmap);
    view.setUint32(at + 8, echo);
  });
  return body;
}

/** @param message - from the preamble on, without its tag; a CONTROL whose body begins with HELLO_SUBTYPE */
export function decodeHello(message: Uint8Array): Hello | "truncated" {
  const body = bodyOf(message);
  if (body.length < BODY_OCTETS) return "truncated";
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const flags = view.getUint8(AT.flags);
  const seen = TRANSPORTS.map((_, index): HelloSeen => {
    const at = SEEN_AT + index * SEEN_OCTETS;
    const highest = view.getUint32(at);
    return { highest, bitmap: view.getUint32(at + 4), echo: view.getUint32(at + 8) };
  });
  return {
    transport: view.getUint8(AT.transport),
    carries: view.getUint8(AT.carries),
    ask: (flags & FLAG.ask) !== 0,
    full: (flags & FLAG.full) !== 0,
    number: view.getUint32(AT.number),
    nonce: view.getUint32(AT.nonce),
    badTags: view.getUint16(AT.refused),
    seen,
    octets: message.length + TAG_OCTETS,
  };
}
