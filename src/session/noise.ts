/**
 * Noise_NNpsk0_25519_AESGCM_SHA256 exactly as The Noise Protocol Framework, revision 34, defines it:
 *
 *   -> psk, e
 *   <- e, ee
 *
 * Both messages carry a payload. Private keys are random octets that the caller brings. What fails
 * to decrypt, and a public key of small order, is a null, never an exception: anybody who can send
 * can cause it. The transport phase of Noise is not used; `keys.ts` derives our keys instead.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { assert } from "../core/assert.ts";

const PROTOCOL_NAME = "Noise_NNpsk0_25519_AESGCM_SHA256";
const HASH_OCTETS = 32;
const DH_OCTETS = 32;
const AEAD_TAG_OCTETS = 16;
const NOTHING = new Uint8Array(0);

/** What both ends hold after the second message. */
export interface NoiseSecrets {
  /** `ck` of the specification, 32 octets. */
  readonly chainingKey: Uint8Array;
  /** `h`: names the whole exchange, 32 octets. */
  readonly hash: Uint8Array;
}

export interface NoiseOptions {
  /** 32 octets. */
  readonly psk: Uint8Array;
  readonly prologue: Uint8Array;
  /** 32 random octets, used once. */
  readonly privateKey: Uint8Array;
}

export class NoiseInitiator {
  #state: SymmetricState;
  readonly #ephemeral: KeyPair;

  constructor(options: NoiseOptions) {
    this.#state = new SymmetricState(options);
    this.#ephemeral = keyPair(options.privateKey);
  }

  /** The first message; called once. */
  write(payload: Uint8Array): Uint8Array {
    this.#state.mixEphemeral(this.#ephemeral.publicOctets);
    return join(this.#ephemeral.publicOctets, this.#state.encrypt(payload));
  }

  /** Opens the second message. After a null the genuine one can still be read. */
  read(message: Uint8Array): { payload: Uint8Array; secrets: NoiseSecrets } | null {
    if (message.length < DH_OCTETS + AEAD_TAG_OCTETS) return null;
    const state = this.#state.clone();
    const remote = message.subarray(0, DH_OCTETS);
    state.mixEphemeral(remote);
    const shared = agree(this.#ephemeral.privateKey, remote);
    if (shared === null) return null;
    state.mixKey(shared);
    const payload = state.decrypt(message.subarray(DH_OCTETS));
    return payload === null ? null : { payload, secrets: state.secrets };
  }
}

export class NoiseResponder {
  readonly #state: SymmetricState;
  readonly #ephemeral: KeyPair;
  #shared: Uint8Array = NOTHING;

  constructor(options: NoiseOptions) {
    this.#state = new SymmetricState(options);
    this.#ephemeral = keyPair(options.privateKey);
  }

  /** Opens the first message; called once. */
  read(message: Uint8Array): Uint8Array | null {
    if (message.length < DH_OCTETS + AEAD_TAG_OCTETS) return null;
    const remote = message.subarray(0, DH_OCTETS);
    const shared = agree(this.#ephemeral.privateKey, remote);
    if (shared === null) return null;
    this.#shared = shared;
    this.#state.mixEphemeral(remote);
    return this.#state.decrypt(message.subarray(DH_OCTETS));
  }

  /** The second message; after a successful `read`. */
  write(payload: Uint8Array): { message: Uint8Array; secrets: NoiseSecrets } {
    this.#state.mixEphemeral(this.#ephemeral.publicOctets);
    this.#state.mixKey(this.#shared);
    const message = join(this.#ephemeral.publicOctets, this.#state.encrypt(payload));
    return { message, secrets: this.#state.secrets };
  }
}

/** SymmetricState and its CipherState, sections 5.1 and 5.2. The cipher has a key from the PSK on. */
class SymmetricState {
  #chainingKey: Uint8Array;
  #hash: Uint8Array;
  #key: Uint8Array = NOTHING;
  /** Messages under the present key: at most one in this pattern. */
  #nonce = 0;

  constructor(options: Pick<NoiseOptions, "psk" | "prologue"> | SymmetricState) {
    if (options instanceof SymmetricState) {
      this.#chainingKey = options.#chainingKey;
      this.#hash = options.#hash;
      this.#key = options.#key;
      this.#nonce = options.#nonce;
      return;
    }
    // The name fills a hash exactly, so it stands for itself.
    this.#hash = Buffer.from(PROTOCOL_NAME);
    this.#chainingKey = this.#hash;
    this.#mixHash(options.prologue);
    this.#mixKeyAndHash(options.psk);
  }

  clone(): SymmetricState {
    return new SymmetricState(this);
  }

  /** An ephemeral public key; with a PSK it is mixed into the key as well, section 9.2. */
  mixEphemeral(publicOctets: Uint8Array): void {
    this.#mixHash(publicOctets);
    this.mixKey(publicOctets);
  }

  mixKey(material: Uint8Array): void {
    const output = this.#derive(material, 2);
    this.#chainingKey = output.subarray(0, HASH_OCTETS);
    this.#key = output.subarray(HASH_OCTETS);
    this.#nonce = 0;
  }

  encrypt(plain: Uint8Array): Uint8Array {
    const cipher = createCipheriv("aes-256-gcm", this.#key, this.#takeNonce());
    cipher.setAAD(this.#hash);
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    this.#mixHash(sealed);
    return sealed;
  }

  decrypt(sealed: Uint8Array): Uint8Array | null {
    const end = sealed.length - AEAD_TAG_OCTETS;
    const decipher = createDecipheriv("aes-256-gcm", this.#key, this.#takeNonce());
    decipher.setAAD(this.#hash);
    decipher.setAuthTag(sealed.subarray(end));
    try {
      const plain = Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]);
      this.#mixHash(sealed);
      return plain;
    } catch {
      return null;
    }
  }

  get secrets(): NoiseSecrets {
    return { chainingKey: this.#chainingKey, hash: this.#hash };
  }

  #mixKeyAndHash(material: Uint8Array): void {
    const output = this.#derive(material, 3);
    this.#chainingKey = output.subarray(0, HASH_OCTETS);
    this.#mixHash(output.subarray(HASH_OCTETS, 2 * HASH_OCTETS));
    this.#key = output.subarray(2 * HASH_OCTETS);
    this.#nonce = 0;
  }

  #mixHash(octets: Uint8Array): void {
    this.#hash = createHash("sha256").update(this.#hash).update(octets).digest();
  }

  /** HKDF of section 4.3 is HKDF of RFC 5869 with the chaining key as salt and no info. */
  #derive(material: Uint8Array, outputs: number): Uint8Array {
    const octets = outputs * HASH_OCTETS;
    return new Uint8Array(hkdfSync("sha256", material, this.#chainingKey, NOTHING, octets));
  }

  /** 32 bits of zeros and the 64-bit counter, big-endian: section 12.4. */
  #takeNonce(): Uint8Array {
    const nonce = new Uint8Array(12);
    nonce[11] = this.#nonce;
    this.#nonce += 1;
    return nonce;
  }
}

interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicOctets: Uint8Array;
}

/** Keys go in and out as JWK (RFC 8037): 25 times faster than as DER, where OpenSSL tries every decoder. */
function keyPair(privateOctets: Uint8Array): KeyPair {
  // The public key is computed from the private one; an absent `x` would be refused.
  const jwk = { kty: "OKP", crv: "X25519", d: base64url(privateOctets), x: "" };
  const privateKey = createPrivateKey({ key: jwk, format: "jwk" });
  const { x } = privateKey.export({ format: "jwk" });
  assert(typeof x === "string", "an X25519 key has a public half");
  return { privateKey, publicOctets: Buffer.from(x, "base64url") };
}

/** X25519, RFC 7748; null for a public key of small order. */
function agree(privateKey: KeyObject, publicOctets: Uint8Array): Uint8Array | null {
  const jwk = { kty: "OKP", crv: "X25519", x: base64url(publicOctets) };
  try {
    return diffieHellman({ privateKey, publicKey: createPublicKey({ key: jwk, format: "jwk" }) });
  } catch {
    return null;
  }
}

function base64url(octets: Uint8Array): string {
  return Buffer.from(octets).toString("base64url");
}

function join(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}
