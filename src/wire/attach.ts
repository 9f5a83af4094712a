/**
 * ATTACH, CHALLENGE and RESPONSE: how a link, a transport or an address joins a session.
 *
 *   ATTACH     preamble 8 | link 1 | id 3 | transport 1 | 0 3 | nonce 8 | 0 24
 *   CHALLENGE  preamble 8 | echo 8 | nonce 8 | link 1 | id 3 | port 2 | address 16 | 0 2
 *   RESPONSE   preamble 8 | echo 8
 *
 * Behind each stands a 16-octet tag. ATTACH is as long as CHALLENGE, 64 octets with the tag, so that
 * a forged source address gains nothing.
 */
import { PATH_AT, type Path } from "../core/path.ts";
import { copyOf, createMessage, readUint24, writeUint24 } from "./message.ts";
import { PREAMBLE_OCTETS, TYPE } from "./preamble.ts";

export const NONCE_OCTETS = 8;
/** Links of a session are numbered 0 to this. */
export const LINK_NUMBER_MAX = 15;

const ATTACH_AT = { link: 8, id: 9, transport: 12, nonce: 16 } as const;
const CHALLENGE_AT = { echo: 8, nonce: 16, link: 24, id: 25, port: 28, address: 30 } as const;

/** Without tags. */
export const ATTACH_OCTETS = 48;
export const CHALLENGE_OCTETS = 48;
export const RESPONSE_OCTETS = PREAMBLE_OCTETS + NONCE_OCTETS;

export interface Attach {
  /** 0..LINK_NUMBER_MAX. */
  readonly link: number;
  /** The link id that the client listens on. */
  readonly id: number;
  /** By which it is sent, as in a path: 0 raw, 1 UDP, 2 TCP. */
  readonly transport: number;
  readonly nonce: Uint8Array;
}

export interface Challenge {
  /** The nonce of ATTACH; all 0 when an address is checked without one. */
  readonly echo: Uint8Array;
  readonly nonce: Uint8Array;
  readonly link: number;
  /** The link id that the Remote Portal listens on. */
  readonly id: number;
  /** UDP or TCP port the client was seen at, 0 for raw. */
  readonly port: number;
  /** Address the client was seen at, 16 octets; IPv4 in its IPv4-mapped form (RFC 4291 2.5.5.2). */
  readonly address: Uint8Array;
}

/** @param attachId - as told in RESP */
export function encodeAttach(attachId: number, seq: number, attach: Attach): Uint8Array {
  const message = createMessage({ type: TYPE.attach, linkId: attachId, seq }, ATTACH_OCTETS);
  message[ATTACH_AT.link] = attach.link;
  writeUint24(message, ATTACH_AT.id, attach.id);
  message[ATTACH_AT.transport] = attach.transport;
  message.set(attach.nonce, ATTACH_AT.nonce);
  return message;
}

export function decodeAttach(message: Uint8Array): Attach | "truncated" {
  if (message.length !== ATTACH_OCTETS) return "truncated";
  return {
    link: message[ATTACH_AT.link] as number,
    id: readUint24(message, ATTACH_AT.id),
    transport: message[ATTACH_AT.transport] as number,
    nonce: copyOf(message, ATTACH_AT.nonce, ATTACH_AT.nonce + NONCE_OCTETS),
  };
}

export function encodeChallenge(linkId: number, seq: number, challenge: Challenge): Uint8Array {
  const message = createMessage({ type: TYPE.challenge, linkId, seq }, CHALLENGE_OCTETS);
  message.set(challenge.echo, CHALLENGE_AT.echo);
  message.set(challenge.nonce, CHALLENGE_AT.nonce);
  message[CHALLENGE_AT.link] = challenge.link;
  writeUint24(message, CHALLENGE_AT.id, challenge.id);
  message[CHALLENGE_AT.port] = challenge.port >>> 8;
  message[CHALLENGE_AT.port + 1] = challenge.port & 0xff;
  message.set(challenge.address, CHALLENGE_AT.address);
  return message;
}

export function decodeChallenge(message: Uint8Array): Challenge | "truncated" {
  if (message.length !== CHALLENGE_OCTETS) return "truncated";
  const { echo, nonce, port, address } = CHALLENGE_AT;
  return {
    echo: copyOf(message, echo, echo + NONCE_OCTETS),
    nonce: copyOf(message, nonce, nonce + NONCE_OCTETS),
    link: message[CHALLENGE_AT.link] as number,
    id: readUint24(message, CHALLENGE_AT.id),
    port: ((message[port] as number) << 8) | (message[port + 1] as number),
    address: copyOf(message, address, address + 16),
  };
}

export function encodeResponse(linkId: number, seq: number, echo: Uint8Array): Uint8Array {
  const message = createMessage({ type: TYPE.response, linkId, seq }, RESPONSE_OCTETS);
  message.set(echo, PREAMBLE_OCTETS);
  return message;
}

/** A copy of the echoed nonce. */
export function decodeResponse(message: Uint8Array): Uint8Array | "truncated" {
  if (message.length !== RESPONSE_OCTETS) return "truncated";
  return copyOf(message, PREAMBLE_OCTETS);
}

/** The remote end of a path in the form of CHALLENGE. */
export function observedFrom(path: Path): Pick<Challenge, "port" | "address"> {
  const port = ((path[PATH_AT.port] as number) << 8) | (path[PATH_AT.port + 1] as number);
  const remote = path.subarray(PATH_AT.remote, PATH_AT.remote + 16);
  if (path[PATH_AT.family] === 6) return { port, address: copyOf(remote, 0) };
  const address = new Uint8Array(16);
  address.fill(0xff, 10, 12);
  address.set(remote.subarray(0, 4), 12);
  return { port, address };
}
