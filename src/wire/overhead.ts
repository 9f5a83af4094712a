/** Octets that carriage adds to an inner packet: the one place where they are added up. */
import { PREAMBLE_OCTETS, PREAMBLE_ORDERED_OCTETS } from "./preamble.ts";

const IPV4_HEADER_OCTETS = 20;
const IPV6_HEADER_OCTETS = 40;
const UDP_HEADER_OCTETS = 8;

export interface Carriage {
  readonly transport: "raw" | "udp";
  readonly family: 4 | 6;
  /** Octets of a DATA tag. */
  readonly tagOctets: number;
}

/** Outer headers in front of the preamble. */
export function outerOctets(transport: "raw" | "udp", family: 4 | 6): number {
  const ip = family === 4 ? IPV4_HEADER_OCTETS : IPV6_HEADER_OCTETS;
  return transport === "udp" ? ip + UDP_HEADER_OCTETS : ip;
}

/** Octets added to an inner packet; `ordered`: more than one link is live. */
export function addedOctets(carriage: Carriage, ordered: boolean): number {
  const preamble = ordered ? PREAMBLE_ORDERED_OCTETS : PREAMBLE_OCTETS;
  return outerOctets(carriage.transport, carriage.family) + preamble + carriage.tagOctets;
}
