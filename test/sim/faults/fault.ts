/** What can go wrong in an emulated world: one record a fault, from one moment to another. */

/** Milliseconds. What is at one moment only has both alike. */
interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export type Way = "up" | "down" | "both";
export type Side = "a" | "b";

interface OnLink extends Span {
  readonly link: number;
}

interface OnWay extends OnLink {
  readonly way: Way;
}

interface AtPortal extends Span {
  readonly portal: Side;
}

export type Fault =
  /** Silent: nothing arrives, and nobody is told. */
  | ({ readonly kind: "cut" } & OnWay)
  | ({ readonly kind: "loss"; readonly share: number } & OnWay)
  /** Cut for the first half of each period. */
  | ({ readonly kind: "flap"; readonly periodMs: number } & OnWay)
  /** Silence, and from its end on another one-way delay. */
  | ({ readonly kind: "handover"; readonly delayMs: number } & OnLink)
  /** The rate is this part of what it was. */
  | ({ readonly kind: "rate"; readonly factor: number } & OnWay)
  /** Outer packets with more octets vanish. */
  | ({ readonly kind: "mtu"; readonly octets: number } & OnWay)
  /** Outer packets come a second time, up to `laterMs` after the first. */
  | ({ readonly kind: "copies"; readonly share: number; readonly laterMs: number } & OnWay)
  /** Outer packets come up to `laterMs` late, behind others. */
  | ({ readonly kind: "late"; readonly share: number; readonly laterMs: number } & OnWay)
  /** Cut, and the portal knows at once and its peer `toldMs` later: of the end as well. */
  | ({ readonly kind: "carrier"; readonly link: number; readonly toldMs: number } & AtPortal)
  /** A socket that takes nothing. */
  | ({ readonly kind: "clog"; readonly link: number } & AtPortal)
  /** A translation gives the link another address, and nobody is told. */
  | ({ readonly kind: "rebind" } & OnLink)
  /** A loses the link, knows it, and has it again from another address. */
  | ({ readonly kind: "roam" } & OnLink)
  /** Killed at the beginning, started at the end. `remembers`: it can answer RESET. */
  | ({ readonly kind: "restart"; readonly remembers: boolean } & AtPortal)
  /** Not running. `buffered`: messages that its sockets hold meanwhile; 0 is a machine that sleeps. */
  | ({ readonly kind: "suspend"; readonly buffered: number } & AtPortal)
  /** New keys for the same bond: every link is attached once more. */
  | ({ readonly kind: "rekey" } & Span)
  /** Its clock goes ahead by `byMs` at once. */
  | ({ readonly kind: "clock"; readonly byMs: number } & AtPortal);

export type FaultKind = Fault["kind"];
export type FaultOf<K extends FaultKind> = Extract<Fault, { readonly kind: K }>;

export const FAULT_KINDS: readonly FaultKind[] = [
  "cut",
  "loss",
  "flap",
  "handover",
  "rate",
  "mtu",
  "copies",
  "late",
  "carrier",
  "clog",
  "rebind",
  "roam",
  "restart",
  "suspend",
  "rekey",
  "clock",
];

/** The fault is on the way of this name. */
export function isOn(way: Way, name: "up" | "down"): boolean {
  return way === "both" || way === name;
}

/** One line, in words. */
export function faultText({ kind, fromMs, toMs, ...rest }: Fault): string {
  const details = Object.entries(rest).map(([name, value]) => `${name} ${String(value)}`);
  return `${fromMs} to ${toMs} ms: ${kind} (${details.join(", ")})`;
}
