/** Asks running portals for their status, over their control sockets. */
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { MpfwdError } from "../core/errors.ts";
import { type PortalStatus, STATUS_SCHEMA } from "../portal/snapshot.ts";
import { ANSWER_OCTETS_MAX, instancePaths } from "./control.ts";

const TIMEOUT_MS = 3000;

/**
 * @throws MpfwdError ERR_NOT_RUNNING, ERR_PRIVILEGE when the socket is another user's, ERR_CONTROL
 */
export async function askStatus(stateDirectory: string, name: string): Promise<PortalStatus> {
  const line = await exchange(instancePaths(stateDirectory, name).control, name);
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch (cause) {
    throw new MpfwdError("ERR_CONTROL", `${name} answered with something else than JSON`, cause);
  }
  const { error, schema } = answer as { error?: unknown; schema?: unknown };
  if (error !== undefined) throw new MpfwdError("ERR_CONTROL", `${name} answered: ${error}`);
  if (schema !== STATUS_SCHEMA) {
    const message = `${name} speaks status schema ${schema}, this command ${STATUS_SCHEMA}`;
    throw new MpfwdError("ERR_CONTROL", `${message}; use the same version of mpfwd for both`);
  }
  return answer as PortalStatus;
}

/** Names of the instances that have a directory; they may have been killed. */
export function knownInstances(stateDirectory: string): string[] {
  try {
    const entries = readdirSync(stateDirectory, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new MpfwdError("ERR_CONTROL", `cannot read ${stateDirectory}: ${error}`, error);
  }
}

function exchange(path: string, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ path }, () => socket.write('{"request":"status"}\n'));
    const fail = (error: MpfwdError) => {
      socket.destroy();
      reject(error);
    };
    socket.setEncoding("utf8");
    socket.setTimeout(TIMEOUT_MS, () =>
      fail(new MpfwdError("ERR_CONTROL", `${name} does not answer on ${path}`)),
    );
    socket.on("data", (text: string) => {
      answer += text;
      const end = text.includes("\n") ? answer.indexOf("\n") : -1;
      if (end >= 0) {
        socket.destroy();
        resolve(answer.slice(0, end));
      } else if (answer.length > ANSWER_OCTETS_MAX) {
        fail(new MpfwdError("ERR_CONTROL", `${name} answers without end`));
      }
    });
    socket.on("end", () => fail(new MpfwdError("ERR_CONTROL", `${name} hung up`)));
    socket.on("error", (error: NodeJS.ErrnoException) => fail(connectFailure(error, name, path)));
  });
}

/** What a failed connection to a control socket says of the portal `name`. */
export function connectFailure(
  error: NodeJS.ErrnoException,
  name: string,
  path: string,
): MpfwdError {
  if (error.code === "ENOENT" || error.code === "ECONNREFUSED") {
    const mend = `start it with: mpfwd up FILE`;
    return new MpfwdError("ERR_NOT_RUNNING", `${name} is not running; ${mend}`, error);
  }
  if (error.code === "EACCES" || error.code === "EPERM") {
    const message = `may not open ${path}; run as the user that started the portal`;
    return new MpfwdError("ERR_PRIVILEGE", message, error);
  }
  return new MpfwdError("ERR_CONTROL", `${path}: ${error.message}`, error);
}
