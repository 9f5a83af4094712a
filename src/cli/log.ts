/**
 * Log lines on standard error: time, level, text. Under systemd the journal knows the time, and the
 * level goes in front in its own form (sd-daemon(3)).
 */
import { fstatSync } from "node:fs";
import type { Log } from "../core/log.ts";

const LEVELS = { info: 6, warn: 4, error: 3 } as const;
type Level = keyof typeof LEVELS;

export function openLog(
  write: (line: string) => void = standardError(),
  journal = underJournal(),
  now = () => new Date(),
): Log {
  const log = (level: Level) => (text: string) => write(logLine(level, text, journal, now()));
  return { info: log("info"), warn: log("warn"), error: log("error") };
}

/** Whoever read the log may be gone: that is no reason to stop, and nothing to log. */
function standardError(): (line: string) => void {
  let broken = false;
  process.stderr.on("error", () => {
    broken = true;
  });
  return (line) => {
    if (!broken) process.stderr.write(line);
  };
}

function logLine(level: Level, text: string, journal: boolean, now: Date): string {
  const plain = oneLine(text);
  if (journal) return `<${LEVELS[level]}>${plain}\n`;
  return `${now.toISOString()} ${level.padEnd(5)} ${plain}\n`;
}

/** A text from elsewhere must not forge lines or drive the terminal. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is covered
  return text.replace(/\n\s*/g, "; ").replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

/** `JOURNAL_STREAM` names the device and inode of the stream that the journal reads. */
function underJournal(): boolean {
  const named = process.env["JOURNAL_STREAM"];
  if (named === undefined) return false;
  const { dev, ino } = fstatSync(process.stderr.fd);
  return named === `${dev}:${ino}`;
}
