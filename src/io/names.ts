/**
 * Resolves the names of hosts, all their addresses, through the system. The same question is asked once at
 * a time: one that gets no answer holds one thread of few for half a minute.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { MpfwdError } from "../core/errors.ts";

export interface HostAddress {
  /** Text. */
  readonly address: string;
  readonly family: 4 | 6;
}

/** The host's address, if that is how it is named; else null. */
export function literalAddress(host: string): HostAddress | null {
  const family = isIP(host);
  return family === 0 ? null : { address: host, family: family === 6 ? 6 : 4 };
}

export class Names {
  /** Questions without an answer, one a name and family. */
  readonly #asked = new Map<string, Promise<readonly HostAddress[]>>();

  /** At least one address of the family of `source`, or of any; the system's choice first. @throws MpfwdError ERR_LINK */
  resolve(host: string, source: string | undefined): Promise<readonly HostAddress[]> {
    const literal = literalAddress(host);
    if (literal !== null) return Promise.resolve([literal]);
    const family = source === undefined ? 0 : isIP(source);
    const key = `${family} ${host}`;
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    const answer = ask(host, family).finally(() => this.#asked.delete(key));
    this.#asked.set(key, answer);
    return answer;
  }
}

/** The address of a host of the family of `source`, or of any. @throws MpfwdError ERR_LINK */
export async function resolveHost(host: string, source: string | undefined): Promise<HostAddress> {
  const [first] = await new Names().resolve(host, source);
  return first as HostAddress;
}

async function ask(host: string, family: number): Promise<readonly HostAddress[]> {
  try {
    const found = await lookup(host, { family, all: true });
    return found.map(({ address, family: of }) => ({ address, family: of === 6 ? 6 : 4 }));
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw new MpfwdError("ERR_LINK", `the name ${host} does not resolve (${code})`, cause);
  }
}
