/**
 * The sealed payloads of the handshake: what the client offers in INIT and what the Remote Portal
 * chooses in RESP. Reserved octets are sent as 0 and ignored, so that a later version can use them.
 *
 *   offer   suite 1 | data tag 1 | transports 1 | links 1 | purpose 1 | 0 3 | bond 8 | 0 44
 *   choice  result 1 | flags 1 | suite 1 | data tag 1 | transports 1 | addresses 1 | 0 2 | attach id 3 |
 *           0 5 | 4 x (family 1, bits 1, address 16)
 */
import { copyOf, readUint24, writeUint24 } from "./message.ts";

/** Cipher suites of DATA, the addon's numbers. */
export const SUITE = { hmacSha256: 0, aes128Gcm: 1 } as const;
/** Tag lengths of DATA under hmacSha256; aes128Gcm has 16. */
export const DATA_TAGS: readonly number[] = [8, 10, 12, 16];
/** Bits of `transports`; their numbers (0, 1, 2) are those of ATTACH and of a path. */
export const TRANSPORT_BIT = { raw: 1, udp: 2, tcp: 4 } as const;

export const RESULT = { ok: 0, encrypt: 1, tag: 2, transport: 3, purpose: 4 } as const;
/** What a session is for: a tunnel, or measuring beside one that stays as it is. */
export const PURPOSE = { tunnel: 0, probe: 1 } as const;

export type Purpose = keyof typeof PURPOSE;

export const OFFER_OCTETS = 60;
export const CHOICE_OCTETS = 88;
export const BOND_ID_OCTETS = 8;
/** Inner addresses that a choice has room for. */
export const CHOICE_ADDRESSES_MAX = 4;

const OFFER_AT = { suite: 0, dataTag: 1, transports: 2, links: 3, purpose: 4, bond: 8 } as const;
const CHOICE_AT = {
  result: 0,
  flags: 1,
  suite: 2,
  dataTag: 3,
  transports: 4,
  count: 5,
  attachId: 8,
  addresses: 16,
} as const;
const ADDRESS_OCTETS = 18;
const FLAG_CONTINUED = 1;

export interface Offer {
  /** SUITE. */
  readonly suite: number;
  readonly dataTag: number;
  /** TRANSPORT_BIT of the configured links. */
  readonly transports: number;
  /** Configured links. */
  readonly links: number;
  /** PURPOSE; another number is a later version's. */
  readonly purpose: number;
  /** Bond to continue; all 0: none. */
  readonly bond: Uint8Array;
}

/** Inner prefix of a client, as the Remote Portal has it. */
export interface InnerAddress {
  readonly family: 4 | 6;
  /** 4 or 16 octets. */
  readonly address: Uint8Array;
  readonly bits: number;
}

export interface Choice {
  /** RESULT; if not ok, the rest says what the Remote Portal requires. */
  readonly result: number;
  /** The offered bond goes on under the new keys. */
  readonly continued: boolean;
  readonly suite: number;
  readonly dataTag: number;
  readonly transports: number;
  /** Where ATTACH goes; 0 in a refusal. */
  readonly attachId: number;
  /** The first CHOICE_ADDRESSES_MAX go on the wire. */
  readonly addresses: readonly InnerAddress[];
}

export function encodeOffer(offer: Offer): Uint8Array {
  const octets = new Uint8Array(OFFER_OCTETS);
  octets[OFFER_AT.suite] = offer.suite;
  octets[OFFER_AT.dataTag] = offer.dataTag;
  octets[OFFER_AT.transports] = offer.transports;
  octets[OFFER_AT.links] = offer.links;
  octets[OFFER_AT.purpose] = offer.purpose;
  octets.set(offer.bond, OFFER_AT.bond);
  return octets;
}

export function decodeOffer(octets: Uint8Array): Offer {
  return {
    suite: octets[OFFER_AT.suite] as number,
    dataTag: octets[OFFER_AT.dataTag] as number,
    transports: octets[OFFER_AT.transports] as number,
    links: octets[OFFER_AT.links] as number,
    purpose: octets[OFFER_AT.purpose] as number,
    bond: copyOf(octets, OFFER_AT.bond, OFFER_AT.bond + BOND_ID_OCTETS),
  };
}

export function encodeChoice(choice: Choice): Uint8Array {
  const octets = new Uint8Array(CHOICE_OCTETS);
  const addresses = choice.addresses.slice(0, CHOICE_ADDRESSES_MAX);
  octets[CHOICE_AT.result] = choice.result;
  octets[CHOICE_AT.flags] = choice.continued ? FLAG_CONTINUED : 0;
  octets[CHOICE_AT.suite] = choice.suite;
  octets[CHOICE_AT.dataTag] = choice.dataTag;
  octets[CHOICE_AT.transports] = choice.transports;
  octets[CHOICE_AT.count] = addresses.length;
  writeUint24(octets, CHOICE_AT.attachId, choice.attachId);
  addresses.forEach((inner, index) => {
    const at = CHOICE_AT.addresses + index * ADDRESS_OCTETS;
    octets[at] = inner.family;
    octets[at + 1] = inner.bits;
    octets.set(inner.address, at + 2);
  });
  return octets;
}

export function decodeChoice(octets: Uint8Array): Choice {
  return {
    result: octets[CHOICE_AT.result] as number,
    continued: ((octets[CHOICE_AT.flags] as number) & FLAG_CONTINUED) !== 0,
    suite: octets[CHOICE_AT.suite] as number,
    dataTag: octets[CHOICE_AT.dataTag] as number,
    transports: octets[CHOICE_AT.transports] as number,
    attachId: readUint24(octets, CHOICE_AT.attachId),
    addresses: decodeAddresses(octets),
  };
}

/** Entries of an unknown family are left out: they are information only. */
function decodeAddresses(octets: Uint8Array): InnerAddress[] {
  const count = Math.min(octets[CHOICE_AT.count] as number, CHOICE_ADDRESSES_MAX);
  const addresses: InnerAddress[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = CHOICE_AT.addresses + index * ADDRESS_OCTETS;
    const family = octets[at];
    if (family !== 4 && family !== 6) continue;
    const address = copyOf(octets, at + 2, at + 2 + (family === 4 ? 4 : 16));
    addresses.push({ family, address, bits: octets[at + 1] as number });
  }
  return addresses;
}
