/**
 * Bodies of the two CONTROL messages by which a portal finds out how long its packets may be on a path
 * (`pmtu`): a probe, padded to the size under test, and its answer, as short as can be.
 *
 *   probe   what 1 (11) | transport 1 | 0 2           | search 4 | zeros, up to the size
 *   answer  what 1 (12) | transport 1 | link 1 | 0 1  | search 4 | octets 2 | 0 2
 *
 * The transport is that of the probe; link and transport of an answer say which path was probed, since the
 * answer may travel by any. `search` names one round of probes of the sender. `octets` is the length of
 * the longest probe of that round which has come, preamble and tag included, as it was received.
 */
import { bodyOf, TAG_OCTETS } from "./message.ts";
import { PREAMBLE_OCTETS } from "./preamble.ts";

/** First octets of a CONTROL body. */
export const PMTU_SUBTYPE = { probe: 11, answer: 12 } as const;

const AT = { what: 0, transport: 1, link: 2, search: 4, octets: 8 } as const;
const PROBE_BODY_OCTETS = 8;
const ANSWER_BODY_OCTETS = 12;

/** Of the shortest probe message, preamble and tag included. */
export const PMTU_PROBE_OCTETS = PREAMBLE_OCTETS + PROBE_BODY_OCTETS + TAG_OCTETS;

export interface PmtuProbe {
  /** Number of the transport that it is sent by. */
  readonly transport: number;
  /** 32 bits. */
  readonly search: number;
  /** Octets of the message, preamble and tag included; PMTU_PROBE_OCTETS or more. */
  readonly octets: number;
}

export interface PmtuAnswer {
  readonly transport: number;
  /** Number of the link that was probed, 0..15. */
  readonly link: number;
  readonly search: number;
  /** Of the longest probe that came, 16 bits. */
  readonly octets: number;
}

/** The body alone, padded so that the message has `probe.octets` octets in all. */
export function encodePmtuProbe({ transport, search, octets }: PmtuProbe): Uint8Array {
  const padded = octets - PREAMBLE_OCTETS - TAG_OCTETS;
  const body = new Uint8Array(Math.max(padded, PROBE_BODY_OCTETS));
  body[AT.what] = PMTU_SUBTYPE.probe;
  body[AT.transport] = transport;
  new DataView(body.buffer).setUint32(AT.search, search);
  return body;
}

/** @param message - from the preamble on, without its tag; a CONTROL whose body begins with 11 */
export function decodePmtuProbe(message: Uint8Array): PmtuProbe | "truncated" {
  const body = bodyOf(message);
  if (body.length < PROBE_BODY_OCTETS) return "truncated";
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return {
    transport: view.getUint8(AT.transport),
    search: view.getUint32(AT.search),
    octets: message.length + TAG_OCTETS,
  };
}

export function encodePmtuAnswer({ transport, link, search, octets }: PmtuAnswer): Uint8Array {
  const body = new Uint8Array(ANSWER_BODY_OCTETS);
  const view = new DataView(body.buffer);
  body[AT.what] = PMTU_SUBTYPE.answer;
  body[AT.transport] = transport;
  body[AT.link] = link;
  view.setUint32(AT.search, search);
  view.setUint16(AT.octets, octets);
  return body;
}

/** @param message - from the preamble on, without its tag; a CONTROL whose body begins with 12 */
export function decodePmtuAnswer(message: Uint8Array): PmtuAnswer | "truncated" {
  const body = bodyOf(message);
  if (body.length < ANSWER_BODY_OCTETS) return "truncated";
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return {
    transport: view.getUint8(AT.transport),
    link: view.getUint8(AT.link),
    search: view.getUint32(AT.search),
    octets: view.getUint16(AT.octets),
  };
}
