/** Which running portal a command means. */
import { existsSync } from "node:fs";
import { askStatus, knownInstances } from "../control/client.ts";
import { MpfwdError } from "../core/errors.ts";
import { INSTANCE_NAME } from "./configuration/values.ts";
import { readConfiguration } from "./configuration.ts";

/** The argument is a name, or a configuration file that names it. */
export function instanceOf(which: string, stateDirectory: string): string {
  if (INSTANCE_NAME.test(which)) {
    if (knownInstances(stateDirectory).includes(which) || !existsSync(which)) return which;
  }
  return readConfiguration(which).tunnel.name;
}

/**
 * The one portal that runs.
 *
 * @throws MpfwdError ERR_NOT_RUNNING, ERR_USAGE when several run
 */
export async function onlyInstance(stateDirectory: string): Promise<string> {
  const known = knownInstances(stateDirectory);
  const answers = await Promise.allSettled(known.map((name) => askStatus(stateDirectory, name)));
  const running = known.filter((_, index) => answers[index]?.status === "fulfilled");
  const [only, ...others] = running;
  if (only === undefined) {
    throw new MpfwdError("ERR_NOT_RUNNING", `no portal runs (looked in ${stateDirectory})`);
  }
  if (others.length === 0) return only;
  throw new MpfwdError("ERR_USAGE", `several portals run, name one: ${running.join(", ")}`);
}
