/**
 * What a packet's headers say of its hurry: one that must not wait, one that may go first as long as
 * its flow is thin, or one that takes its turn. Looks at octets only; who is thin and how many may be
 * urgent is `realtime.ts`'s.
 */
import type { Arena } from "../../core/arena.ts";
import { type InnerHeader, PROTOCOL } from "../../wire/inner.ts";

export const URGENCY = { none: 0, ifThin: 1, urgent: 2 } as const;

/** Unmarked packets longer than this are in no hurry: bulk transfers fill the path's MTU. */
export const URGENT_OCTETS_MAX = 1300;

/**
 * Code points of those who cannot wait: EF (RFC 3246), VOICE-ADMIT (RFC 5865), CS5 for signalling,
 * CS6 and CS7 for network control (RFC 4594 section 2.3). AF4x is not among them: video of several
 * Mbit/s adapts its rate to a queue, and would take voice's share of the class.
 */
const URGENT_CODE_POINTS = [46, 44, 40, 48, 56];
const IS_URGENT = Uint8Array.from({ length: 64 }, (_, code) =>
  URGENT_CODE_POINTS.includes(code) ? 1 : 0,
);

/** Where the flags are in a TCP header (RFC 9293 section 3.1), and which one opens a connection. */
const TCP_FLAGS_AT = 13;
const TCP_SYN = 0x02;
const PORT_DNS = 53;
/** Echo and echo reply: RFC 792, RFC 4443 section 4. */
const ICMP_ECHO = [8, 0];
const ICMP6_ECHO = [128, 129];

/** URGENCY of the packet in `slot`, whose header has been read. */
export function urgencyOf(arena: Arena, slot: number, header: InnerHeader): number {
  if (IS_URGENT[header.trafficClass >> 2] === 1) return URGENCY.urgent;
  const { transportAt } = header;
  if (transportAt === 0) return URGENCY.none;
  switch (header.protocol) {
    case PROTOCOL.tcp:
      return urgencyOfTcp(arena, slot, transportAt);
    case PROTOCOL.udp:
      return URGENCY.ifThin;
    case PROTOCOL.icmp:
      return isOneOf(ICMP_ECHO, arena.octets[transportAt] as number);
    case PROTOCOL.icmp6:
      return isOneOf(ICMP6_ECHO, arena.octets[transportAt] as number);
    default:
      return URGENCY.none;
  }
}

/** What opens a connection (SYN, SYN and ACK), and short packets of DNS (RFC 7766). */
function urgencyOfTcp(arena: Arena, slot: number, transportAt: number): number {
  const bytes = arena.length[slot] as number;
  const endAt = (arena.start[slot] as number) + bytes;
  if (bytes > URGENT_OCTETS_MAX || transportAt + TCP_FLAGS_AT >= endAt) return URGENCY.none;
  if (((arena.octets[transportAt + TCP_FLAGS_AT] as number) & TCP_SYN) !== 0) return URGENCY.urgent;
  const ports = arena.view.getUint32(transportAt);
  const dns = ports >>> 16 === PORT_DNS || (ports & 0xffff) === PORT_DNS;
  return dns ? URGENCY.ifThin : URGENCY.none;
}

function isOneOf(types: readonly number[], type: number): number {
  return type === types[0] || type === types[1] ? URGENCY.ifThin : URGENCY.none;
}
