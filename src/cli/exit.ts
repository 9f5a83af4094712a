/** Exit codes: stable, scripts match on them. `docs/commands.md` lists them. */
import { CommanderError } from "commander";
import { type ErrorCode, MpfwdError } from "../core/errors.ts";

export const EXIT = {
  ...{ ok: 0, failed: 1, usage: 2, notRunning: 3, privilege: 4 },
  /** Of `probe` (`PROBE_EXIT`), which ends with `ok` where raw IP works both ways. */
  ...{ udpNeeded: 5, tcpNeeded: 6, nothingWorks: 7 },
} as const;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  ERR_CONFIG: EXIT.usage,
  ERR_USAGE: EXIT.usage,
  ERR_NOT_RUNNING: EXIT.notRunning,
  ERR_PRIVILEGE: EXIT.privilege,
};

export function exitCodeOf(error: unknown): number {
  // Help and version end as errors of commander with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof MpfwdError) return BY_CODE[error.code] ?? EXIT.failed;
  return EXIT.failed;
}

/** What the operator reads; "" where commander has spoken already. A stack only for our own bugs. */
export function errorText(error: unknown): string {
  if (error instanceof CommanderError) return "";
  if (error instanceof MpfwdError) {
    const cause = error.cause instanceof Error ? error.cause.message : "";
    const known = cause === "" || error.message.includes(cause);
    const more = known ? "" : `\n  (${cause})`;
    return error.code === "ERR_CONFIG" ? error.message : `mpfwd: ${error.message}${more}`;
  }
  const stack = error instanceof Error ? error.stack : String(error);
  return `mpfwd: this is a bug, please report it\n${stack}`;
}
