#!/usr/bin/env node
/** The process: arguments in, exit code out. */
import { EXIT, errorText, exitCodeOf } from "./exit.ts";
import { runProgram } from "./program.ts";

// The reader of a pipe may leave early: `mpfwd status --watch | head`.
process.stdout.on("error", () => process.exit(EXIT.ok));

try {
  process.exit(await runProgram(process.argv.slice(2)));
} catch (error) {
  const text = errorText(error);
  if (text !== "") process.stderr.write(`${text}\n`);
  process.exit(exitCodeOf(error));
}
