/**
 * The control socket's language: a unix stream, one JSON object a line each way. The only request
 * is `{"request":"status"}`; the answer is a `PortalStatus`, or `{"error":"..."}`.
 */
import { join } from "node:path";

/** Default place of the instances' directories. */
export const STATE_DIRECTORY = "/run/mpfwd";

/** Longest request line, octets. */
export const REQUEST_OCTETS_MAX = 4096;
/** Longest answer: a thousand clients with many links each. */
export const ANSWER_OCTETS_MAX = 16 * 1_048_576;

export interface InstancePaths {
  /** Mode 0700. */
  readonly directory: string;
  readonly control: string;
  readonly lock: string;
  readonly record: string;
}

export function instancePaths(stateDirectory: string, name: string): InstancePaths {
  const directory = join(stateDirectory, name);
  return {
    directory,
    control: join(directory, "control.sock"),
    lock: join(directory, "lock.sock"),
    record: join(directory, "changes.json"),
  };
}

/** @returns what is asked for, or why the line is no request */
export function readRequest(line: string): { readonly request: "status" } | { error: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { error: "this is not JSON" };
  }
  if (typeof value !== "object" || value === null || !("request" in value)) {
    return { error: 'expected an object with "request"' };
  }
  if (value.request !== "status") return { error: "unknown request; known is: status" };
  return { request: "status" };
}
