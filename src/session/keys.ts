/**
 * The key schedule. Every key is an HKDF-SHA256 (RFC 5869) output under a label of its own, so that
 * no key serves two purposes:
 *
 *   pre-shared key --salt "mpfwd MPF1"--> init, reply, noise
 *   Noise ck       --salt h-----------> data, control, attach (each per direction), reset, bond
 *
 * `up` is from the client to the Remote Portal. DATA has a key of its own because its tag is short:
 * a DATA tag can never be played as another message's.
 */
import { createHmac, hkdfSync } from "node:crypto";
import { TAG_OCTETS, writeUint24 } from "../wire/message.ts";
import { BOND_ID_OCTETS } from "../wire/offer.ts";
import type { ContextKeys } from "./effects.ts";
import type { NoiseSecrets } from "./noise.ts";

/** Begins every label, and the Noise prologue. */
const PROTOCOL = "mpfwd MPF1";
const KEY_OCTETS = 32;

/** Derived from the pre-shared key: the same for every session of a client. */
export interface ClientKeys {
  /** Tag of INIT ("mac1"). */
  readonly init: Uint8Array;
  /** Tags of RESP and RETRY. */
  readonly reply: Uint8Array;
  /** `psk` of Noise. */
  readonly noise: Uint8Array;
}

export function clientKeys(preSharedKey: Uint8Array): ClientKeys {
  const derive = (purpose: string) => expand(preSharedKey, PROTOCOL, purpose, KEY_OCTETS);
  return { init: derive("init"), reply: derive("reply"), noise: derive("noise") };
}

/** The Noise prologue: who talks, in which version. */
export function prologue(initIdentity: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(PROTOCOL), initIdentity]);
}

export interface DirectionKeys {
  readonly data: Uint8Array;
  readonly control: Uint8Array;
  readonly attach: Uint8Array;
}

export interface SessionKeys {
  readonly up: DirectionKeys;
  readonly down: DirectionKeys;
  readonly reset: Uint8Array;
  /** Names the bond that begins with this session, 8 octets. */
  readonly bond: Uint8Array;
}

export function sessionKeys(secrets: NoiseSecrets): SessionKeys {
  const derive = (purpose: string, octets = KEY_OCTETS) =>
    expand(secrets.chainingKey, secrets.hash, purpose, octets);
  const direction = (name: string) => ({
    data: derive(`data ${name}`),
    control: derive(`control ${name}`),
    attach: derive(`attach ${name}`),
  });
  return {
    up: direction("up"),
    down: direction("down"),
    reset: derive("reset"),
    bond: derive("bond", BOND_ID_OCTETS),
  };
}

/** The keys that a link's contexts take for one direction. */
export function linkKeys(
  keys: DirectionKeys,
  form: { readonly suite: number; readonly dataTag: number; readonly linkNumber: number },
): ContextKeys {
  return { ...form, data: keys.data, control: keys.control, attach: keys.attach };
}

/** Tag of the RESET that names `linkId`. */
export function resetToken(resetKey: Uint8Array, linkId: number): Uint8Array {
  const name = new Uint8Array(3);
  writeUint24(name, 0, linkId);
  return createHmac("sha256", resetKey).update(name).digest().subarray(0, TAG_OCTETS);
}

function expand(
  material: Uint8Array,
  salt: string | Uint8Array,
  purpose: string,
  octets: number,
): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", material, salt, `${PROTOCOL} ${purpose}`, octets));
}
