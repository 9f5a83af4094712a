/**
 * What the addon counts, in the octets it shares with JavaScript. `src/native/memory.h` has the same list in
 * the same order.
 */

/** Indices into `arena.counters`. Packets unless said. */
export const COUNTER = {
  /** Shorter than a preamble and its tag, or an IP header that does not fit. */
  truncated: 0,
  /** Type nibble 0 or 11..15. */
  badType: 1,
  /** No receive context for this link id, client id, or none for this class of message. */
  badIndex: 2,
  badTag: 3,
  /** Sequence number seen before. */
  replayed: 4,
  /** Sequence number behind the replay window. */
  tooOld: 5,
  /** Longer than a slot holds. */
  oversize: 6,
  /** Packets kept by the caller because the socket's buffer was full (EAGAIN; raw: ENOBUFS). */
  sendBlocked: 7,
  /** ENOBUFS or ENOMEM for a message sent as it is: dropped by the device's queue, or no memory. */
  sendNoBuffers: 8,
  /** EPERM: a local firewall refused. */
  sendRefused: 9,
  /** ENETUNREACH, EHOSTUNREACH, ENETDOWN, ENODEV, EADDRNOTAVAIL; or the path's socket was closed. */
  sendUnreachable: 10,
  /** EMSGSIZE. */
  sendTooBig: 11,
  sendOtherError: 12,
  /** ICMP errors taken from error queues. */
  icmpErrors: 13,
  /** Packets read from a TUN that are neither IPv4 nor IPv6, or damaged. */
  tunMalformed: 14,
  tunWriteErrors: 15,
  /** Packets that left inside a super-packet to the TUN, and the super-packets. */
  tunMerged: 16,
  tunSuperPackets: 17,
  /** UDP_SEGMENT and UDP_GRO messages (system calls saved). */
  udpSegmented: 18,
  udpCoalesced: 19,
  /** System calls. */
  tunReadCalls: 20,
  tunWriteCalls: 21,
  sendCalls: 22,
  receiveCalls: 23,
  /** Wake-ups delivered to the callback. */
  wakes: 24,
  /** TCP connections closed because there was no room for them. */
  acceptsRefused: 25,
  /** TCP connections ended because of a length that cannot be. */
  badFrames: 26,
  /** Packets that a capture missed because nobody read the ring. */
  tapMissed: 27,
  /** All packets that were dropped instead of sent, under whichever of the names above. */
  sendFailed: 28,
  /** Packets kept by the caller because the device's queue or memory was full (ENOBUFS, ENOMEM). */
  sendDeferred: 29,
} as const;
