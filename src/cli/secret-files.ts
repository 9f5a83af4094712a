/** Writes files that carry keys: for the owner only, and all or nothing. */
import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { MpfwdError } from "../core/errors.ts";

const MODE = 0o600;

/**
 * Missing folders are made. Each file under a temporary name first; then all get their own names, or none does.
 *
 * @throws MpfwdError ERR_USAGE when a file exists and `force` is not given
 */
export function writeAll(files: Readonly<Record<string, string>>, force: boolean): void {
  const done: string[] = [];
  const temporary = (file: string) => `${file}.${process.pid}.new`;
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(temporary(file), text, { mode: MODE, flag: "wx" });
    }
    for (const file of Object.keys(files)) {
      if (force) renameSync(temporary(file), file);
      else linkSync(temporary(file), file);
      done.push(file);
    }
  } catch (cause) {
    if (!force) for (const file of done) rmSync(file, { force: true });
    throw writeFailure(cause);
  } finally {
    for (const file of Object.keys(files)) rmSync(temporary(file), { force: true });
  }
}

/** Puts another text in the place of a file. @throws MpfwdError */
export function replaceFile(file: string, text: string): void {
  const next = `${file}.${process.pid}.new`;
  try {
    writeFileSync(next, text, { mode: MODE, flag: "wx" });
    renameSync(next, file);
  } catch (cause) {
    rmSync(next, { force: true });
    throw writeFailure(cause);
  }
}

function writeFailure(cause: unknown): MpfwdError {
  const { code, dest, path } = cause as NodeJS.ErrnoException & { dest?: string };
  if (code === "EEXIST") {
    return new MpfwdError("ERR_USAGE", `${dest ?? path} exists; --force overwrites it`);
  }
  return new MpfwdError("ERR_HOST", `cannot write: ${String(cause)}`, cause);
}
