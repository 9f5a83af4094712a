/**
 * One fault of a configuration file and how it is shown: `file:line:column: what is wrong`, the
 * line, a caret under the place, what was expected, "did you mean". Secrets in a shown line are
 * covered, so that a fault can be pasted into a report.
 */
import type { KeyPath, Location, Span } from "./locate.ts";
import { nearestWord } from "./suggest.ts";

export interface Fault {
  readonly path: KeyPath;
  /** Point at the key or at the value; default the value. */
  readonly at?: "key" | "value";
  /** One sentence without a full stop. Never contains a secret. */
  readonly what: string;
  readonly expected?: string;
  readonly suggestion?: string;
  /** Only with syntax errors, which have no path: offset in the text. */
  readonly offset?: number;
}

export interface PlacedFault extends Omit<Fault, "path" | "at" | "offset"> {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The fault's line with secrets covered. */
  readonly source: string;
  readonly width: number;
}

export function placeFault(fault: Fault, text: string, location: Location | null): PlacedFault {
  const span = spanOf(fault, location);
  const before = text.slice(0, span.from).split("\n");
  const column = (before.at(-1)?.length ?? 0) + 1;
  const source = (text.split("\n")[before.length - 1] ?? "").replace(/\r$/, "");
  const width = Math.max(1, Math.min(span.to - span.from, source.length - column + 1));
  return {
    // A key pasted into the wrong place is still a key.
    what: fault.what.replace(LONG_RUN, cover),
    ...(fault.expected === undefined ? {} : { expected: fault.expected }),
    ...(fault.suggestion === undefined ? {} : { suggestion: fault.suggestion }),
    line: before.length,
    column,
    source: coverSecrets(source),
    width,
  };
}

export function faultText(file: string, fault: PlacedFault): string {
  const number = String(fault.line);
  const gutter = " ".repeat(number.length);
  const indent = fault.source.slice(0, fault.column - 1).replace(/[^\t]/g, " ");
  const lines = [
    `${file}:${fault.line}:${fault.column}: ${fault.what}`,
    `  ${number} | ${fault.source}`,
    `  ${gutter} | ${indent}${"^".repeat(fault.width)}`,
  ];
  if (fault.expected !== undefined) lines.push(`  ${gutter}   expected ${fault.expected}`);
  if (fault.suggestion !== undefined) lines.push(`  ${gutter}   did you mean ${fault.suggestion}?`);
  return lines.join("\n");
}

/** By place in the file, as one reads. */
export function inOrder(faults: readonly PlacedFault[]): PlacedFault[] {
  return [...faults].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Base64 or hex of 30 octets and more. */
const LONG_RUN = /[A-Za-z0-9+/_-]{40,}={0,2}/g;

/** Covers what may be a key: values of anything spelt like `key`, and long runs of base64 or hex. */
export function coverSecrets(line: string): string {
  const pairs = line.replace(
    /(["']?)([A-Za-z0-9_-]+)\1(\s*=\s*)("(?:\\.|[^"\\])*"?|'[^']*'?|[^\s,}\]#]+)/g,
    (whole, quote: string, name: string, equals: string, value: string) =>
      isSecretName(name) ? `${quote}${name}${quote}${equals}${cover(value)}` : whole,
  );
  return pairs.replace(LONG_RUN, cover);
}

function cover(text: string): string {
  return "*".repeat(text.length);
}

function isSecretName(name: string): boolean {
  if (name === "key_file") return false;
  return /key|psk|secret/i.test(name) || nearestWord(name, ["key", "psk"]) !== undefined;
}

function spanOf(fault: Fault, location: Location | null): Span {
  if (fault.offset !== undefined) return { from: fault.offset, to: fault.offset + 1 };
  const place = location?.nearest(fault.path);
  if (place === undefined) return { from: 0, to: 0 };
  return fault.at === "key" ? place.key : place.value;
}
