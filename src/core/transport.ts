/**
 * What carries a link's messages, in order of preference: raw IP adds the least, UDP passes nearly every
 * middlebox, TCP passes what is left. The numbers are those of ATTACH, of a path and of the addon.
 */
export const TRANSPORTS = ["raw", "udp", "tcp"] as const;

export type Transport = (typeof TRANSPORTS)[number];

/** 0, 1 or 2. */
export function transportNumber(transport: Transport): number {
  return TRANSPORTS.indexOf(transport);
}

/** Undefined: a later version's. */
export function transportOf(number: number): Transport | undefined {
  return TRANSPORTS[number];
}
