/**
 * What a measured link is good for: which transport each direction needs, the MTU, one sentence, the
 * lines to paste into the link's table, the exit code. The order is that of the ladder: raw IP, else
 * UDP, else TCP; a better one that clearly does worse than the next is not taken.
 */
import { TRANSPORTS, type Transport } from "../core/transport.ts";
import { addedOctets } from "../wire/overhead.ts";
import { type Judgement, judge } from "./judgement.ts";
import type { Endpoint, LinkMeasurement } from "./measurement.ts";
import { DIRECTIONS, type Direction } from "./plan.ts";
import { sentenceFor } from "./sentence.ts";

/** Exit codes of `mpfwd probe`, the worst of all links. */
export const PROBE_EXIT = { raw: 0, udp: 5, tcp: 6, nothing: 7 } as const;
export type ProbeExit = (typeof PROBE_EXIT)[keyof typeof PROBE_EXIT];

/** A share of packets that raw IP may lose more than UDP, and UDP more than TCP. */
const WORSE = { raw: 0.02, udp: 0.2, tcp: 1 } as const;
/** What every IPv6 link carries (RFC 8200 section 5). */
const SIZE_MIN = 1280;
/** Octets of a DATA tag, the default. */
const TAG_OCTETS = 10;

export interface TransportVerdict {
  readonly transport: Transport;
  readonly up: Judgement;
  readonly down: Judgement;
}

export interface LinkVerdict {
  readonly transports: readonly TransportVerdict[];
  /** What the link needs in each direction; null: nothing works. */
  readonly recommended: Readonly<Record<Direction, Transport | null>>;
  /** Octets of the longest packet that the recommended transports, and UDP behind them, carry. */
  readonly linkMtu: number;
  /** Of the TUN device. */
  readonly tunMtu: number;
  /** Address translation stands between; null: unknown. */
  readonly translated: boolean | null;
  readonly sentence: string;
  /** Lines for the `[[link]]` table; empty when nothing works. */
  readonly config: readonly string[];
  readonly exitCode: ProbeExit;
}

/** @param protocol - IP protocol number of the raw links, for the sentence */
export function verdictOf(link: LinkMeasurement, protocol: number): LinkVerdict {
  const transports = link.transports.map((measured) => ({
    transport: measured.transport,
    up: judge(link, measured, "up"),
    down: judge(link, measured, "down"),
  }));
  // The portal sends by raw IP only to whom it hears by it.
  const answerable = transports.filter(({ transport, up }) => transport !== "raw" || carries(up));
  const recommended = {
    up: choose(transports.map(({ up }) => up)),
    down: choose(answerable.map(({ down }) => down)),
  };
  const linkMtu = mtuOf(link, transports, recommended);
  const form = { transport: "udp", family: link.family, tagOctets: TAG_OCTETS } as const;
  const exitCode = exitCodeOf(recommended);
  return {
    ...{ transports, recommended, linkMtu, exitCode },
    tunMtu: linkMtu - addedOctets(form, true),
    translated: isTranslated(link),
    sentence: sentenceFor({ link, transports, recommended, protocol }),
    config: exitCode === PROBE_EXIT.nothing ? [] : configOf(link, recommended, linkMtu),
  };
}

/** The first of raw, UDP and TCP that carries and is not clearly worse than the next that does. */
function choose(judgements: readonly Judgement[]): Transport | null {
  const carrying = TRANSPORTS.flatMap(
    (transport) => judgements.find((one) => one.transport === transport && carries(one)) ?? [],
  );
  const chosen = carrying.find((one, index) => {
    const next = carrying[index + 1];
    return next === undefined || !isWorse(one, next);
  });
  return chosen?.transport ?? null;
}

function carries({ word }: Judgement): boolean {
  return word === "ok" || word === "lossy" || word === "policed" || word === "size-limited";
}

function isWorse(one: Judgement, next: Judgement): boolean {
  const further = one.loss.interval.low - next.loss.interval.high;
  if (further > WORSE[one.transport]) return true;
  if (next.transport === "tcp") return one.sizeMax !== null && one.sizeMax < SIZE_MIN;
  if (one.word === "policed" && next.word !== "policed") return true;
  return (one.sizeMax ?? 0) < (next.sizeMax ?? 0);
}

function exitCodeOf({ up, down }: LinkVerdict["recommended"]): ProbeExit {
  if (up === null || down === null) return PROBE_EXIT.nothing;
  const worst = Math.max(TRANSPORTS.indexOf(up), TRANSPORTS.indexOf(down));
  return PROBE_EXIT[TRANSPORTS[worst] ?? "tcp"];
}

/** UDP counts where it carries, so that falling back never shrinks the tunnel. */
function mtuOf(
  link: LinkMeasurement,
  transports: readonly TransportVerdict[],
  recommended: LinkVerdict["recommended"],
): number {
  const sizes = DIRECTIONS.flatMap((direction) =>
    transports
      .filter(({ transport }) => transport === recommended[direction] || transport === "udp")
      .map((verdict) => verdict[direction])
      .filter((judgement) => judgement.transport === recommended[direction] || carries(judgement))
      .flatMap(({ sizeMax, sizeTried }) => (sizeMax === sizeTried ? [] : (sizeMax ?? []))),
  );
  const carried = sizes.filter((size) => size >= 576);
  return Math.min(link.linkMtu, ...carried);
}

/** What can use raw IP one way, or differs by direction, is the ladder's to carry. */
function configOf(
  link: LinkMeasurement,
  { up, down }: LinkVerdict["recommended"],
  linkMtu: number,
): string[] {
  const transport = up !== down || up === "raw" ? "auto" : up;
  const mtu = linkMtu < link.linkMtu ? [`mtu = ${linkMtu}`] : [];
  return [`transport = "${transport}"`, ...mtu];
}

export function isTranslated(link: LinkMeasurement): boolean | null {
  const known = link.transports.flatMap(({ local, observed }) =>
    local === null || observed === null ? [] : [differs(local, observed)],
  );
  return known.length === 0 ? null : known.some((differ) => differ);
}

function differs(local: Endpoint, observed: Endpoint): boolean {
  return local.address !== observed.address;
}
