/**
 * The control socket's language: a unix stream, one JSON object a line each way.
 *
 *   {"request":"status"}                           a `PortalStatus`
 *   {"request":"capture","snap":2048,"link":"a"}   {"capture":"begun"}, then frames; `link` may be left out
 *   {"request":"stop"}                             ends the capture of this connection; no answer of its own
 *   anything else                                  {"error":"..."}
 *
 * A frame is 4 octets of length, network byte order, and as many octets of whole pcap records in the
 * byte order of this machine. Length 0 is the end; a line {"capture":"ended","missed":0} follows.
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

/** Octets of each packet that a capture keeps at the most: the longest IP packet. */
export const SNAP_OCTETS_MAX = 65_535;
/** Octets in front of each frame. */
export const FRAME_HEADER_OCTETS = 4;
/** A frame is never longer. */
export const FRAME_OCTETS_MAX = 1_048_576;

export interface CaptureRequest {
  readonly request: "capture";
  /** 1..SNAP_OCTETS_MAX. */
  readonly snap: number;
  readonly link: string | null;
}

export type Request =
  | { readonly request: "status" }
  | { readonly request: "stop" }
  | CaptureRequest
  | { readonly error: string };

/** @returns what is asked for, or why the line is no request */
export function readRequest(line: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { error: "this is not JSON" };
  }
  if (typeof value !== "object" || value === null || !("request" in value)) {
    return { error: 'expected an object with "request"' };
  }
  switch (value.request) {
    case "status":
    case "stop":
      return { request: value.request };
    case "capture":
      return readCapture(value);
    default:
      return { error: "unknown request; known are: status, capture, stop" };
  }
}

function readCapture(value: object): Request {
  const { snap = SNAP_OCTETS_MAX, link = null } = value as { snap?: unknown; link?: unknown };
  const fits = Number.isInteger(snap) && Number(snap) >= 1 && Number(snap) <= SNAP_OCTETS_MAX;
  if (!fits) return { error: `snap must be a whole number from 1 to ${SNAP_OCTETS_MAX}` };
  if (link !== null && typeof link !== "string") return { error: "link must be a name" };
  return { request: "capture", snap: Number(snap), link };
}
