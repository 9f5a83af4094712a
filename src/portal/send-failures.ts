/**
 * What this machine itself refuses to send: told to the operator once, and to the ladder where another transport
 * may be let out. It never takes a link down: what is lost shows as silence, like any other loss.
 */
import { LINKS_MAX } from "../bond/bond.ts";
import type { Log } from "../core/log.ts";
import { SECOND, type TimeUs } from "../core/time.ts";
import { TRANSPORTS, type Transport, transportNumber } from "../core/transport.ts";
import type { Link } from "../link/link.ts";
import type { SendFailure } from "../native/native.ts";
import type { Peer } from "./peer.ts";

/** Said again after so long without. */
const QUIET_US = 60 * SECOND;

/** By errno name; others are named as they are. A packet that is too long for a device is the MTU's affair. */
const REASONS: Readonly<Record<string, string>> = {
  EPERM: "a firewall on this machine refuses it",
  ENETUNREACH: "there is no route",
  EHOSTUNREACH: "there is no route",
  ENETDOWN: "its device is down",
  ENODEV: "its device is gone",
  EADDRNOTAVAIL: "its address is gone",
};
const UNSAID = "EMSGSIZE";

export class SendFailures {
  readonly #log: Log;
  /** By peer, link and transport, then by errno name: when it last came. */
  readonly #seen = new Map<number, Map<string, TimeUs>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** `owner` stands in front of what is logged, if any. */
  note(
    nowUs: TimeUs,
    owner: string,
    peer: Peer,
    link: Link,
    transport: Transport,
    failure: SendFailure,
  ): void {
    const { code } = failure;
    if (code === "EPERM") peer.ladders[link.number]?.hint(nowUs, transport);
    // What the kernel says of its own device is not ICMP's word; still it only begins a search.
    if (code === UNSAID) peer.sizes[link.number]?.doubt(nowUs, null, false);
    if (code === UNSAID || !this.#isNews(nowUs, peer, link, transport, code)) return;
    const what = owner === "" ? `link ${link.name}` : `${owner}: link ${link.name}`;
    const reason = REASONS[code] ?? "the kernel refuses it";
    this.#log.warn(`${what} cannot send by ${transport}: ${reason} (${code})`);
  }

  #isNews(nowUs: TimeUs, peer: Peer, link: Link, transport: Transport, code: string): boolean {
    const number = (peer.index * LINKS_MAX + link.number) * TRANSPORTS.length;
    const key = number + transportNumber(transport);
    const seen = this.#seen.get(key) ?? new Map<string, TimeUs>();
    this.#seen.set(key, seen);
    const lastUs = seen.get(code) ?? Number.NEGATIVE_INFINITY;
    seen.set(code, nowUs);
    return nowUs - lastUs > QUIET_US;
  }
}
