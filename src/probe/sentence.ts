/** The verdict in one sentence: what the link needs, and why nothing better will do. */
import type { Transport } from "../core/transport.ts";
import type { Judgement } from "./judgement.ts";
import type { LinkMeasurement } from "./measurement.ts";
import type { Direction } from "./plan.ts";

export interface SentenceInput {
  readonly link: LinkMeasurement;
  readonly transports: readonly {
    readonly transport: Transport;
    readonly up: Judgement;
    readonly down: Judgement;
  }[];
  readonly recommended: Readonly<Record<Direction, Transport | null>>;
  /** IP protocol number of raw links. */
  readonly protocol: number;
}

const WAYS = { up: "to the portal", down: "from the portal" } as const;

export function sentenceFor(input: SentenceInput): string {
  const { link, recommended, protocol } = input;
  if (!link.connected) return unreachableText(link, protocol);
  const { up, down } = recommended;
  if (up === null || down === null) {
    const dead = up === null ? WAYS.up : WAYS.down;
    return `Nothing carries packets ${dead} for long: no transport can be recommended.`;
  }
  const needs =
    up === down
      ? `${nameOf(up, protocol)} works both ways`
      : `${nameOf(up, protocol)} works to the portal, ${nameOf(down, protocol)} from it`;
  const reasons = reasonsFor(input);
  return `${capital(needs)}${reasons === "" ? "" : `; ${reasons}`}.`;
}

/** Why what would be better than the recommended transport does not do, or how it limps. */
function reasonsFor({ transports, recommended, protocol }: SentenceInput): string {
  const order: Transport[] = ["raw", "udp", "tcp"];
  const notes = transports.flatMap((verdict) => {
    const of = (direction: Direction) => {
      const chosen = recommended[direction];
      if (chosen === null || order.indexOf(verdict.transport) > order.indexOf(chosen)) return null;
      return verdict[direction].word === "ok" ? null : reasonText(verdict[direction]);
    };
    const alone = recommended.up === recommended.down && recommended.up === verdict.transport;
    const name = alone ? "it" : nameOf(verdict.transport, protocol);
    const [up, down] = [of("up"), of("down")];
    if (verdict.transport === "raw" && up !== null && down === null && recommended.down !== "raw") {
      return [`${name} ${up} ${WAYS.up}, and the portal sends by it only to whom it hears by it`];
    }
    if (up === null && down === null) return [];
    if (verdict.up.word === "nat-conflict") return [`${name} ${up}`];
    if (up === down) return [`${name} ${up} both ways`];
    if (up !== null && verdict.down.word === "unreachable") {
      return [`${name} ${up} ${WAYS.up}, and could not be tried from it`];
    }
    const parts = (["up", "down"] as const).flatMap((direction) => {
      const reason = of(direction);
      // Whose machine it does not leave says which way.
      const place = verdict[direction].diedAt;
      const way = place === "here" || place === "there" ? "" : ` ${WAYS[direction]}`;
      return reason === null ? [] : [`${reason}${way}`];
    });
    return [`${name} ${parts.join(", ")}`];
  });
  return notes.join("; ");
}

export function nameOf(transport: Transport, protocol: number): string {
  return transport === "raw" ? `raw IP (protocol ${protocol})` : transport.toUpperCase();
}

function reasonText(judgement: Judgement): string {
  const { word, icmp, loss, fastLoss, sizeMax, positions } = judgement;
  switch (word) {
    case "ok":
      return "works";
    case "lossy":
      return `loses ${percent(loss.share)}`;
    case "policed":
      return `is policed (${percent(fastLoss.share)} lost at the highest rate, ${percent(loss.share)} below)`;
    case "size-limited":
      return sizeMax === null
        ? "carries no size of the sweep"
        : `carries ${sizeMax} octets at most`;
    case "mangled":
      return positions.length === 0
        ? "arrives changed"
        : `arrives with changed octets (${positions.join(", ")})`;
    case "nat-conflict":
      return "is lost in the address translation, which already carries it for another host";
    case "unreachable":
      return "could not be tried";
    default:
      if (icmp !== null) return `is refused by ${icmp.from} (ICMP ${icmp.type}/${icmp.code})`;
      return blockedText(judgement);
  }
}

function blockedText({ because, diedAt }: Judgement): string {
  switch (because) {
    case null:
      if (diedAt === "here") return "does not leave this machine";
      if (diedAt === "there") return "does not leave the portal's machine";
      return "dies on the way without a word";
    case "refused":
      return "is refused by this machine's own firewall";
    case "ECONNREFUSED":
      return "is refused (nothing listens, or a middlebox says so)";
    case "ECONNRESET":
    case "EOF":
      return "is cut off";
    case "timeout":
    case "ETIMEDOUT":
      return "gets no answer";
    default:
      return `fails (${because})`;
  }
}

function unreachableText(link: LinkMeasurement, protocol: number): string {
  const answers = link.transports.flatMap(({ transport, icmp, failure }) => [
    ...icmp.map(({ type, code, from }) => `${from} says ICMP ${type}/${code} to ${transport}`),
    ...(failure === "ECONNREFUSED" ? ["TCP is refused"] : []),
  ]);
  const heard = answers.length === 0 ? "and nobody says why" : `but ${answers.join(", ")}`;
  const tried = link.transports.map(({ transport }) => nameOf(transport, protocol)).join(", ");
  return (
    `No answer by ${tried === "" ? "any transport" : tried}, ${heard}: ` +
    "is a portal running there, with this client id and key, and are address and port right?"
  );
}

export function percent(share: number): string {
  const hundredths = share * 100;
  if (hundredths === 0) return "0 %";
  return hundredths < 0.95 ? `${hundredths.toFixed(1)} %` : `${Math.round(hundredths)} %`;
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
