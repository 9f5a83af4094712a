/**
 * Where in a TOML text a key or value stands. `smol-toml` names a place only for syntax errors;
 * faults of meaning need one too. This scanner walks a text that the parser has accepted, gives
 * every key path the span of its key and of its value, and judges nothing.
 */
import { parse } from "smol-toml";

/** Keys and array indices from the document's root. */
export type KeyPath = readonly (string | number)[];

/** Half open, in UTF-16 units of the text. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Place {
  readonly key: Span;
  /** A table written with a header has its header here as well. */
  readonly value: Span;
}

export interface Location {
  /** The place of this very path, or undefined when the text does not contain it. */
  exact(path: KeyPath): Place | undefined;
  /** The place of the longest leading part of `path` that the text contains; at last its begin. */
  nearest(path: KeyPath): Place;
}

/** @param text - a valid TOML document */
export function locate(text: string): Location {
  const places = new Scanner(text).scan();
  const exact = (path: KeyPath) => places.get(JSON.stringify(path));
  return {
    exact,
    nearest: (path) => {
      for (let length = path.length; length > 0; length -= 1) {
        const place = exact(path.slice(0, length));
        if (place !== undefined) return place;
      }
      return { key: { from: 0, to: 0 }, value: { from: 0, to: 0 } };
    },
  };
}

interface Segment extends Span {
  readonly name: string;
}

/** Blanks, newlines and comments between two things. */
const GAP = /(?:[ \t\r\n]|#[^\n]*)*/y;
const BLANK = /[ \t]*/y;
const BARE_KEY = /[A-Za-z0-9_-]+/y;
/** Three quotes close where no fourth or fifth follows, for those belong to the string. */
const QUOTED = /"""(?:\\[\s\S]|[^\\])*?"""(?!")|'''[\s\S]*?'''(?!')|"(?:\\.|[^"\\\n])*"|'[^'\n]*'/y;
const SCALAR = /[^,\]}#\r\n]+/y;

class Scanner {
  readonly #text: string;
  readonly #places = new Map<string, Place>();
  /** Elements seen so far of each array of tables. */
  readonly #elements = new Map<string, number>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): Map<string, Place> {
    let table: KeyPath = [];
    this.#skip(GAP);
    while (this.#at < this.#text.length) {
      if (this.#text[this.#at] === "[") table = this.#header();
      else this.#pair(table);
      this.#skip(GAP);
    }
    return this.#places;
  }

  #header(): KeyPath {
    const from = this.#at;
    const many = this.#text.startsWith("[[", from);
    this.#at += many ? 2 : 1;
    const segments = this.#dottedKey();
    this.#at += many ? 2 : 1;
    const span = { from, to: this.#at };
    let path: KeyPath = [];
    for (const [index, segment] of segments.entries()) {
      path = [...path, segment.name];
      const last = index === segments.length - 1;
      this.#note(path, { key: span, value: span });
      const element = this.#element(path, many && last);
      if (element < 0) continue;
      path = [...path, element];
      this.#note(path, { key: span, value: span });
    }
    return path;
  }

  /** Index of the newest element of an array of tables, of a new one with `grow`; -1: no such array. */
  #element(path: KeyPath, grow: boolean): number {
    const name = JSON.stringify(path);
    const count = (this.#elements.get(name) ?? 0) + (grow ? 1 : 0);
    if (grow) this.#elements.set(name, count);
    return count - 1;
  }

  #pair(table: KeyPath): void {
    const segments = this.#dottedKey();
    this.#at += 1; // The equals sign.
    this.#skip(BLANK);
    const paths = segments.map((_, index) => [
      ...table,
      ...segments.slice(0, index + 1).map((segment) => segment.name),
    ]);
    const value = this.#value(paths.at(-1) ?? table);
    for (const [index, path] of paths.entries()) {
      this.#note(path, { key: segments[index] ?? value, value });
    }
  }

  #dottedKey(): Segment[] {
    const segments: Segment[] = [];
    do {
      if (segments.length > 0) this.#at += 1; // The dot.
      this.#skip(BLANK);
      const from = this.#at;
      const raw = this.#take(BARE_KEY) || this.#take(QUOTED);
      const quoted = raw.startsWith('"') || raw.startsWith("'");
      const name = quoted ? String(parse(`key = ${raw}`)["key"]) : raw;
      segments.push({ name, from, to: this.#at });
      this.#skip(BLANK);
    } while (this.#text[this.#at] === ".");
    return segments;
  }

  #value(path: KeyPath): Span {
    const from = this.#at;
    const first = this.#text[from];
    if (first === "[") this.#array(path);
    else if (first === "{") this.#inlineTable(path);
    else if (this.#take(QUOTED) === "") {
      const scalar = this.#take(SCALAR);
      return { from, to: from + scalar.trimEnd().length };
    }
    return { from, to: this.#at };
  }

  #array(path: KeyPath): void {
    this.#at += 1;
    for (let index = 0; this.#hasNext("]"); index += 1) {
      const element = [...path, index];
      const value = this.#value(element);
      this.#note(element, { key: value, value });
    }
  }

  #inlineTable(path: KeyPath): void {
    this.#at += 1;
    while (this.#hasNext("}")) this.#pair(path);
  }

  /** Steps over commas to the next element; over the closing bracket when there is none. */
  #hasNext(close: string): boolean {
    this.#skip(GAP);
    if (this.#text[this.#at] === ",") this.#at += 1;
    this.#skip(GAP);
    if (this.#at < this.#text.length && this.#text[this.#at] !== close) return true;
    this.#at += 1;
    return false;
  }

  /** A table may be opened by its parts first: the first mention counts. */
  #note(path: KeyPath, place: Place): void {
    const name = JSON.stringify(path);
    if (!this.#places.has(name)) this.#places.set(name, place);
  }

  #skip(pattern: RegExp): void {
    this.#take(pattern);
  }

  /** The text that `pattern` matches here, stepped over; empty when it does not match. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }
}
