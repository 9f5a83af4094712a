/** Which sizes are worth a probe: octets of IP packets. Pure. */

/**
 * What paths carry that carry less than Ethernet: PPPoE, an IPv4 or an IPv6 header more, WireGuard, mobile networks,
 * the least that IPv6 asks for (RFC 8200 section 5), and steps that a second round can fill. Falling.
 */
const LIKELY: readonly number[] = [
  1500, 1492, 1480, 1460, 1440, 1420, 1400, 1360, 1320, 1280, 1200, 1000, 800,
];

/** A size is known when the next one that fails is no farther away than this. */
export const PRECISION_OCTETS = 4;
/** Steps into which an interval is cut, at most. */
const STEPS_MAX = 10;

/** `most`, the likely sizes between the two, and `least`; falling. */
export function likelySizes(least: number, most: number): number[] {
  return [most, ...LIKELY.filter((size) => size > least && size < most), least];
}

/** `most`, equal steps between the two, and `least`; falling. */
export function evenSizes(least: number, most: number): number[] {
  const wide = Math.ceil((most - least) / STEPS_MAX / PRECISION_OCTETS) * PRECISION_OCTETS;
  const sizes: number[] = [];
  for (let size = least; size < most; size += wide) sizes.push(size);
  return [most, ...sizes.reverse()];
}
