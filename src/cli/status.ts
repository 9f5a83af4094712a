/** `mpfwd status`: asks running portals over their control sockets and prints what they say. */
import { setTimeout as sleep } from "node:timers/promises";
import { askStatus, knownInstances } from "../control/client.ts";
import { MpfwdError } from "../core/errors.ts";
import type { PortalStatus } from "../portal/snapshot.ts";
import { EXIT } from "./exit.ts";
import { instanceOf } from "./instance.ts";
import { statusText } from "./status-text.ts";

const WATCH_INTERVAL_MS = 1000;
/** Cursor home, and erase what is below (ECMA-48). */
const REDRAW = "\u001b[H\u001b[J";

export interface StatusOptions {
  readonly json: boolean;
  readonly watch: boolean;
  readonly stateDirectory: string;
}

/** @returns the exit code */
export async function status(which: string | undefined, options: StatusOptions): Promise<number> {
  const name = which === undefined ? undefined : instanceOf(which, options.stateDirectory);
  for (;;) {
    const portals = await ask(name, options.stateDirectory);
    const text = options.json ? json(portals, name !== undefined) : portals.map(statusText);
    const clear = options.watch && !options.json && process.stdout.isTTY ? REDRAW : "";
    process.stdout.write(`${clear}${[text].flat().join("\n")}\n`);
    if (!options.watch) return EXIT.ok;
    await sleep(WATCH_INTERVAL_MS);
  }
}

/** One object for one named portal, else a list. On one line, so that `--watch` gives JSON lines. */
function json(portals: readonly PortalStatus[], one: boolean): string {
  return JSON.stringify(one ? portals[0] : portals);
}

async function ask(name: string | undefined, stateDirectory: string): Promise<PortalStatus[]> {
  if (name !== undefined) return [await askStatus(stateDirectory, name)];
  const answers = await Promise.allSettled(
    knownInstances(stateDirectory).map((known) => askStatus(stateDirectory, known)),
  );
  const portals = answers.flatMap((answer) =>
    answer.status === "fulfilled" ? [answer.value] : [],
  );
  if (portals.length > 0) return portals;
  // A portal that runs but does not answer is told apart from one that does not run.
  const failure = answers.find(
    (answer) => answer.status === "rejected" && !isNotRunning(answer.reason),
  );
  if (failure?.status === "rejected") throw failure.reason;
  throw new MpfwdError("ERR_NOT_RUNNING", `no portal runs (looked in ${stateDirectory})`);
}

function isNotRunning(error: unknown): boolean {
  return error instanceof MpfwdError && error.code === "ERR_NOT_RUNNING";
}
