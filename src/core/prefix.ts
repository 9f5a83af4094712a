/**
 * IP addresses and prefixes as configuration and the machine name them: text to octets and back,
 * and which one lies in which. Not for packets on the data path. Strict: `10.1` and `010.0.0.1` are
 * no addresses (RFC 6943 section 3.1.1 tells what leniency costs).
 */
import { Address4, Address6 } from "ip-address";

/** Octets of an IPv4 (4) or IPv6 (16) prefix and how many bits of it count. */
export interface Prefix {
  readonly family: 4 | 6;
  readonly address: Uint8Array;
  readonly bits: number;
  /** `10.77.0.0/24`, in canonical form (RFC 5952). */
  readonly text: string;
}

/**
 * Reads `10.77.0.1/24` or `fd00::1/64`; an address alone counts in full (`/32`, `/128`).
 *
 * @returns null when the text is neither
 */
export function parsePrefix(text: string): Prefix | null {
  // The library takes zones, and lengths with leading zeros; neither belongs to a prefix.
  if (!/^[0-9a-f:.]+(\/(0|[1-9]\d{0,2}))?$/i.test(text)) return null;
  try {
    const v4 = !text.includes(":");
    return v4 ? prefixOf(4, new Address4(text)) : prefixOf(6, new Address6(text));
  } catch {
    return null;
  }
}

/** Reads an address without a length. */
export function parseAddress(text: string): Prefix | null {
  return text.includes("/") ? null : parsePrefix(text);
}

/** `10.77.0.1`: the address without the length. */
export function addressText(prefix: Prefix): string {
  return textOf(prefix.family, prefix.address);
}

/** The prefix with every bit behind its length cleared. */
export function networkOf(prefix: Prefix): Prefix {
  const address = prefix.address.map((octet, index) => octet & maskOctet(prefix.bits, index));
  return { ...prefix, address, text: `${textOf(prefix.family, address)}/${prefix.bits}` };
}

/** The address `offset` behind the first of a prefix, as a full-length prefix; null when it lies outside. */
export function addressAt(prefix: Prefix, offset: number): Prefix | null {
  const address = networkOf(prefix).address;
  let carry = offset;
  for (let index = address.length - 1; index >= 0 && carry > 0; index -= 1) {
    carry += address[index] as number;
    address[index] = carry % 256;
    carry = Math.floor(carry / 256);
  }
  const bits = address.length * 8;
  const text = `${textOf(prefix.family, address)}/${bits}`;
  const found: Prefix = { family: prefix.family, address, bits, text };
  return carry === 0 && contains(prefix, found) ? found : null;
}

/** Whether every address of `inner` is one of `outer`. */
export function contains(outer: Prefix, inner: Prefix): boolean {
  if (outer.family !== inner.family || inner.bits < outer.bits) return false;
  return outer.address.every((octet, index) => {
    const mask = maskOctet(outer.bits, index);
    return (octet & mask) === ((inner.address[index] as number) & mask);
  });
}

/** Whether some address is in both. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return contains(a, b) || contains(b, a);
}

function prefixOf(family: 4 | 6, parsed: Address4 | Address6): Prefix {
  const octets = parsed instanceof Address4 ? parsed.toArray() : parsed.toUnsignedByteArray();
  const address = new Uint8Array(family === 4 ? 4 : 16);
  address.set(octets, address.length - octets.length);
  const bits = parsed.subnetMask;
  return { family, address, bits, text: `${parsed.correctForm()}/${bits}` };
}

/** Octets of an address as text, in canonical form. */
export function textOf(family: 4 | 6, address: Uint8Array): string {
  return family === 4 ? address.join(".") : Address6.fromByteArray([...address]).correctForm();
}

function maskOctet(bits: number, index: number): number {
  const kept = Math.min(8, Math.max(0, bits - index * 8));
  return (0xff << (8 - kept)) & 0xff;
}
