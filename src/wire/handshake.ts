/** Inner prefix of a client, as the Remote Portal has it. */
export interface InnerAddress {
  readonly family: 4 | 6;
  /** 4 or 16 octets. */
  readonly address: Uint8Array;
  readonly bits: number;
}

/** Cipher suites of DATA: the offer's and the addon's numbers. */
export const SUITE = { hmacSha256: 0, aes128Gcm: 1 } as const;
