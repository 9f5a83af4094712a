/**
 * Tells the operator what became of links: one line a change, with what is known of the cause. Compares
 * lives before and after; keeps no time of its own.
 */
import { LINKS_MAX } from "../bond/bond.ts";
import { SECOND } from "../core/time.ts";
import type { TransportSwitch } from "../ladder/ladder.ts";
import type { Life } from "../link/life.ts";
import type { Link } from "../link/link.ts";
import { type SocketError, SUITE } from "../native/native.ts";
import type { InitiatorEffect } from "../session/effects.ts";
import type { Peer } from "./peer.ts";
import type { Level } from "./rationed-log.ts";

export type TellOfLink = (peer: Peer, level: Level, text: string) => void;

export class LinkWatcher {
  readonly #say: TellOfLink;
  readonly #seen = new Map<number, Life["tag"]>();

  constructor(say: TellOfLink) {
    this.#say = say;
  }

  /**
   * Tells what changed since the last call. `faultOf`: what is wrong with a link, by number, as far as this
   * machine or the peer knows.
   */
  look(peer: Peer, faultOf: (number: number) => string | undefined): void {
    for (const link of peer.bond.links) {
      const key = peer.index * LINKS_MAX + link.number;
      const before = this.#seen.get(key) ?? "connecting";
      // A suspicion is over within a second: it was nothing, or the link is down.
      if (before === link.life.tag || link.life.tag === "suspect") continue;
      this.#seen.set(key, link.life.tag);
      this.#tell(before, peer, link, faultOf(link.number));
    }
  }

  #tell(
    before: Life["tag"],
    peer: Peer,
    { number, name, life: { tag: now } }: Link,
    fault: string | undefined,
  ): void {
    const what = `link ${name}`;
    const transport = peer.carriers[number]?.transport ?? "";
    const live = peer.bond.liveCount;
    const left = live === 1 ? "1 link carries packets" : `${live} links carry packets`;
    if (now === "up" && before === "down") this.#say(peer, "info", `${what} is back (${left})`);
    else if (now === "up") this.#say(peer, "info", `${what} is up, ${transport} (${left})`);
    else if (now === "down" && fault !== undefined)
      this.#say(peer, "warn", `${what} is out, ${fault}; it is waited for (${left})`);
    else if (now === "down")
      this.#say(peer, "warn", `${what} does not answer; it is being retried (${left})`);
    else if (peer.established) this.#say(peer, "info", `${what} is being attached anew`);
  }
}

/** One line for a change of transport of what is sent here. */
export function switchText(what: string, { from, to, cause }: TransportSwitch): string {
  return from === null
    ? `${what} sends by ${to}`
    : `${what} sends by ${to} instead of ${from}: ${cause}`;
}

/** What is known of a link that has not answered yet. */
export interface Attempt {
  readonly name: string;
  /** As configured. */
  readonly transport: string;
  /** Where it was sent, text. */
  readonly remote: string;
  readonly sent: number;
  /** Why no socket is open. */
  readonly failure?: string;
  readonly error?: SocketError;
}

/** "No answer" in one line a link, then the likely causes: what to look at first. */
export function unansweredLines(
  sinceUs: number,
  attempts: readonly Attempt[],
  port: number,
  protocol: number,
): string[] {
  const seconds = Math.round(sinceUs / SECOND);
  const lines = attempts.map((attempt) => `  ${attemptText(attempt)}`);
  return [
    `no answer from the Remote Portal for ${seconds} s; tried:`,
    ...lines,
    ...causes(attempts, port, protocol).map((cause) => `  likely: ${cause}`),
  ];
}

function attemptText(attempt: Attempt): string {
  const head = `${attempt.name}: ${attempt.transport} to ${attempt.remote}`;
  if (attempt.failure !== undefined) return `${head}: ${attempt.failure}`;
  const error = attempt.error === undefined ? "" : `; ${errorText(attempt.error)}`;
  return `${head}: ${attempt.sent} sent, none answered${error}`;
}

function errorText(error: SocketError): string {
  if (error.icmp === null) return `the kernel says ${error.code}`;
  const { type, code, from } = error.icmp;
  return `${from} answers ICMP type ${type} code ${code} (${error.code})`;
}

function causes(attempts: readonly Attempt[], port: number, protocol: number): string[] {
  const found: string[] = [];
  const refused = attempts.some(
    ({ error }) => error?.code === "ECONNREFUSED" || error?.code === "ENOPROTOOPT",
  );
  if (refused) found.push("no Remote Portal is running there, or it listens on another port");
  if (attempts.some(({ error }) => error?.code === "EPERM" && error.icmp === null)) {
    found.push("a firewall on this machine does not let it out");
  }
  const sent = attempts.filter((attempt) => attempt.failure === undefined);
  if (sent.length === 0) return ["no link could be opened: see above"];
  if (!refused) {
    found.push("key or client_id differ: a Remote Portal does not answer who it does not know");
    found.push(`nothing is running at that address, or a firewall drops it`);
  }
  if (sent.some(({ transport }) => transport === "auto")) {
    found.push(
      `IP protocol ${protocol}, UDP and TCP port ${port} are all blocked: see mpfwd probe`,
    );
  }
  if (sent.some(({ transport }) => transport === "raw")) {
    found.push(`IP protocol ${protocol} is blocked on the path: try transport = "udp"`);
  }
  if (sent.some(({ transport }) => transport === "udp")) {
    found.push(`UDP port ${port} is blocked on the path`);
  }
  if (sent.some(({ transport }) => transport === "tcp")) {
    found.push(`TCP port ${port} is blocked on the path`);
  }
  return found;
}

/** Why the Remote Portal does not take this one. */
export function refusedText(effect: Extract<InitiatorEffect, { tag: "refused" }>): string {
  const encrypts = effect.suite === SUITE.aes128Gcm;
  switch (effect.reason) {
    case "encrypt":
      return `it is configured with encrypt = ${encrypts}; say the same here`;
    case "tag":
      return `it wants tag_octets of at least ${effect.dataTag}`;
    case "transport":
      return "it does not accept the transport of this link";
    case "purpose":
      return "it only answers probes; start it with mpfwd up";
    default:
      return "for a reason this version does not know; is it newer?";
  }
}
