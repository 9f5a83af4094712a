/**
 * Cookies: proof that a client receives at the address it sends from, without remembering it. A
 * cookie is an HMAC over client and remote address under a secret that is replaced every
 * COOKIE_SECRET_US; the one before is still accepted. It needs no hiding: INIT has a tag under the
 * client's key, so nobody else can put a cookie into one.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { PATH_AT, type Path } from "../core/path.ts";
import type { RandomOctets } from "../core/random.ts";
import { NEVER, type TimeUs } from "../core/time.ts";
import { COOKIE_OCTETS } from "../wire/handshake.ts";
import { COOKIE_SECRET_US } from "./limits.ts";

const SECRET_OCTETS = 32;

export class CookieJar {
  readonly #random: RandomOctets;
  #secret: Uint8Array;
  #previous: Uint8Array;
  /** From the first use on. */
  #expiresUs: TimeUs = NEVER;

  constructor(random: RandomOctets) {
    this.#random = random;
    this.#secret = random(SECRET_OCTETS);
    this.#previous = random(SECRET_OCTETS);
  }

  make(nowUs: TimeUs, clientId: Uint8Array, path: Path): Uint8Array {
    this.#rotate(nowUs);
    return cookie(this.#secret, clientId, path);
  }

  check(nowUs: TimeUs, clientId: Uint8Array, path: Path, presented: Uint8Array): boolean {
    this.#rotate(nowUs);
    return (
      timingSafeEqual(presented, cookie(this.#secret, clientId, path)) ||
      timingSafeEqual(presented, cookie(this.#previous, clientId, path))
    );
  }

  #rotate(nowUs: TimeUs): void {
    if (this.#expiresUs === NEVER) this.#expiresUs = nowUs + COOKIE_SECRET_US;
    if (nowUs < this.#expiresUs) return;
    const late = nowUs >= this.#expiresUs + COOKIE_SECRET_US;
    this.#previous = late ? this.#random(SECRET_OCTETS) : this.#secret;
    this.#secret = this.#random(SECRET_OCTETS);
    this.#expiresUs = nowUs + COOKIE_SECRET_US;
  }
}

function cookie(secret: Uint8Array, clientId: Uint8Array, path: Path): Uint8Array {
  const remote = path.subarray(0, PATH_AT.local);
  const hmac = createHmac("sha256", secret).update(clientId).update(remote);
  return hmac.digest().subarray(0, COOKIE_OCTETS);
}
