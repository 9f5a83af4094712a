/**
 * Longest-prefix match from an inner address to whoever owns it ("allowed IPs" in WireGuard's
 * words): the route to a client and the proof that a source address is his (BCP 38, RFC 2827).
 * One hash look-up a distinct prefix length; no allocation in `lookup`.
 */
import type { Prefix } from "./config.ts";

interface Entry {
  readonly words: readonly number[];
  readonly owner: number;
}

interface Level {
  readonly masks: readonly number[];
  readonly entries: Map<number, Entry[]>;
}

export class PrefixTable {
  readonly #v4: Level[];
  readonly #v6: Level[];

  /** `owners[i]`: the prefixes of owner `i`. */
  constructor(owners: readonly (readonly Prefix[])[]) {
    this.#v4 = levelsOf(owners, 4);
    this.#v6 = levelsOf(owners, 6);
  }

  /** Owner of the address at `at`, or -1. */
  lookup(view: DataView, at: number, family: 4 | 6): number {
    const levels = family === 4 ? this.#v4 : this.#v6;
    for (let index = 0; index < levels.length; index += 1) {
      const owner = lookupLevel(levels[index] as Level, view, at);
      if (owner >= 0) return owner;
    }
    return -1;
  }
}

function lookupLevel(level: Level, view: DataView, at: number): number {
  let hash = 0;
  for (let word = 0; word < level.masks.length; word += 1) {
    hash = mix(hash, view.getUint32(at + 4 * word) & (level.masks[word] as number));
  }
  const entries = level.entries.get(hash);
  if (entries === undefined) return -1;
  for (let index = 0; index < entries.length; index += 1) {
    const entry = entries[index] as Entry;
    if (matches(entry, level, view, at)) return entry.owner;
  }
  return -1;
}

function matches(entry: Entry, level: Level, view: DataView, at: number): boolean {
  for (let word = 0; word < level.masks.length; word += 1) {
    const masked = view.getUint32(at + 4 * word) & (level.masks[word] as number);
    if (masked !== entry.words[word]) return false;
  }
  return true;
}

function mix(hash: number, word: number): number {
  return (Math.imul(hash ^ word, 0x9e37_79b1) ^ (hash >>> 15)) | 0;
}

/** Longest prefixes first. */
function levelsOf(owners: readonly (readonly Prefix[])[], family: 4 | 6): Level[] {
  const levels = new Map<number, Level>();
  for (const [owner, prefixes] of owners.entries()) {
    for (const prefix of prefixes) {
      if (prefix.family !== family) continue;
      const level = levels.get(prefix.bits) ?? { masks: masksOf(prefix), entries: new Map() };
      levels.set(prefix.bits, level);
      addEntry(level, prefix, owner);
    }
  }
  return [...levels].sort(([a], [b]) => b - a).map(([, level]) => level);
}

function addEntry(level: Level, prefix: Prefix, owner: number): void {
  const { address } = prefix;
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
  const words = level.masks.map((mask, word) => view.getUint32(4 * word) & mask);
  const hash = words.reduce(mix, 0);
  const entries = level.entries.get(hash) ?? [];
  entries.push({ words, owner });
  level.entries.set(hash, entries);
}

function masksOf(prefix: Prefix): number[] {
  return Array.from({ length: prefix.family === 4 ? 1 : 4 }, (_, word) => {
    const bits = Math.min(Math.max(prefix.bits - 32 * word, 0), 32);
    return bits === 0 ? 0 : -1 << (32 - bits);
  });
}
