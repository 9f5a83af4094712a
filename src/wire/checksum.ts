/** The Internet checksum (RFC 1071), for the rare packets that are made here; the kernel and the addon do the others. */

/** Adds the 16-bit words of `octets[from..to)` to `sum`; an odd last octet counts as the upper half of a word. */
export function sumWords(octets: Uint8Array, from: number, to: number, sum: number): number {
  let total = sum;
  for (let at = from; at + 1 < to; at += 2) {
    total += ((octets[at] as number) << 8) | (octets[at + 1] as number);
  }
  if ((to - from) % 2 === 1) total += (octets[to - 1] as number) << 8;
  return total;
}

/** What goes into a checksum field, from the sum of all words. */
export function foldChecksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}
