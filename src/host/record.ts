/**
 * What a portal has changed on the machine, written down before it is done, so that the next start
 * can take back what a killed run left. A record that cannot be read is no record: what it named
 * still carries our route protocol number.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { parsePrefix } from "../core/prefix.ts";
import type { HostChange } from "./change.ts";

const SCHEMA = 1;

/** No blank, so that a value stays one argument of `ip`, and no leading dash. */
const word = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_:.][A-Za-z0-9_:./-]*$/));
const nextHop = v.pipe(v.string(), v.regex(/^(inet6 )?[0-9a-f:.]+$/));
const prefix = v.pipe(
  v.string(),
  v.check((text) => parsePrefix(text) !== null),
);
const change = v.variant("kind", [
  v.object({ kind: v.literal("link"), device: word, mtu: v.number(), ipv6: v.boolean() }),
  v.object({ kind: v.literal("address"), device: word, address: prefix }),
  v.object({ kind: v.literal("up"), device: word }),
  v.object({
    kind: v.literal("route"),
    device: word,
    to: prefix,
    via: v.exactOptional(nextHop),
    metric: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  }),
]);
const record = v.object({ schema: v.literal(SCHEMA), changes: v.array(change) });

/** @returns the recorded changes; empty without a record; null when it cannot be read */
export function readRecord(path: string): readonly HostChange[] | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? [] : null;
  }
  try {
    const result = v.safeParse(record, JSON.parse(text));
    return result.success ? result.output.changes : null;
  } catch {
    return null;
  }
}

/** Replaces the record as a whole: a killed writer leaves the old one. */
export function writeRecord(path: string, changes: readonly HostChange[]): void {
  const next = `${path}.next`;
  writeFileSync(next, `${JSON.stringify({ schema: SCHEMA, changes })}\n`, { mode: 0o600 });
  renameSync(next, path);
}

export function removeRecord(path: string): void {
  rmSync(path, { force: true });
}
