/**
 * Keeps the Responder's record over a restart, so that clients of the last run are told at once. It
 * holds keys that verify, not keys that read; readable by nobody else, gone with the run directory.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const NAME = "sessions";

/** The record of the last run, undefined when there is none to be had. */
export function readSessions(directory: string): Uint8Array | undefined {
  try {
    return readFileSync(join(directory, NAME));
  } catch {
    return undefined;
  }
}

/** Replaces the record as a whole. @throws what the file system says */
export function writeSessions(directory: string, record: Uint8Array): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, NAME);
  writeFileSync(`${path}.new`, record, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
