/** Octets that carriage adds to an inner packet: the one place where they are added up. */
import type { Transport } from "../core/transport.ts";
import { PREAMBLE_OCTETS, PREAMBLE_ORDERED_OCTETS } from "./preamble.ts";

const IPV4_HEADER_OCTETS = 20;
const IPV6_HEADER_OCTETS = 40;
const UDP_HEADER_OCTETS = 8;
/** With the timestamps that Linux puts into every segment (RFC 7323). */
const TCP_HEADER_OCTETS = 32;
/** The length in front of each message of a stream. */
export const TCP_FRAME_OCTETS = 2;

export interface Carriage {
  readonly transport: Transport;
  readonly family: 4 | 6;
  /** Octets of a DATA tag. */
  readonly tagOctets: number;
}

const HEADER_OCTETS: Readonly<Record<Transport, number>> = {
  raw: 0,
  udp: UDP_HEADER_OCTETS,
  tcp: TCP_HEADER_OCTETS + TCP_FRAME_OCTETS,
};

/** Outer headers in front of the preamble; by TCP those of a message alone in a segment. */
export function outerOctets(transport: Transport, family: 4 | 6): number {
  const ip = family === 4 ? IPV4_HEADER_OCTETS : IPV6_HEADER_OCTETS;
  return ip + HEADER_OCTETS[transport];
}

/** Octets added to an inner packet; `ordered`: more than one link is live. */
export function addedOctets(carriage: Carriage, ordered: boolean): number {
  const preamble = ordered ? PREAMBLE_ORDERED_OCTETS : PREAMBLE_OCTETS;
  return outerOctets(carriage.transport, carriage.family) + preamble + carriage.tagOctets;
}
