/**
 * Where a link leaves the machine, as the kernel would send its packets at this moment: by which device, to
 * which next hop, from which address; or why it cannot. A few system calls that do not wait, some 20 us a link.
 */
import { constants } from "node:os";
import { type Prefix, parseAddress } from "../core/prefix.ts";
import {
  decodeRouteAnswer,
  encodeRouteQuestion,
  type RouteAnswer,
  type RouteQuestion,
} from "../io/rtnetlink.ts";
import type { Device, Engine } from "../native/native.ts";

/** What the kernel is asked with. */
export type Kernel = Pick<Engine, "askRoute" | "device">;

export interface Way {
  /** SO_BINDTODEVICE; undefined: any. */
  readonly device: string | undefined;
  /** Local address, text; undefined: any. */
  readonly source: string | undefined;
  /** Where it leads, text; null: not known yet. */
  readonly remote: string | null;
}

export interface UsablePlace {
  readonly tag: "usable";
  /** Index of the device; a device that was made anew has another. */
  readonly device: number;
  /** Next hop, text; null: none, or not known yet. */
  readonly via: string | null;
  /** The address that packets get, text; null while it is not known where they go. */
  readonly source: string | null;
}

export type Place =
  | UsablePlace
  /** `device`: 0 unless it is there. `loops`: packets would come back through the tunnel. */
  | {
      readonly tag: "unusable";
      readonly why: string;
      readonly device: number;
      readonly loops: boolean;
    };

/** Nothing that is sent from such an address comes back from another network (RFC 4291 section 2.5.6). */
const LINK_LOCAL = /^fe[89ab]/;

/** `tunnel`: name of the tunnel's own device, into which no outer packet may go. @throws when the kernel does not answer */
export function placeOf(kernel: Kernel, way: Way, tunnel: string): Place {
  if (way.device === undefined) return routed(kernel, way, tunnel, undefined);
  const device = kernel.device(way.device);
  const fault = faultOf(device, way.device);
  if (fault !== null || device === null) return unusable(fault ?? "", device?.index);
  return routed(kernel, way, tunnel, device);
}

/** Whether an address, text, is one of this machine's. @throws when the kernel does not answer */
export function isOwnAddress(kernel: Kernel, text: string): boolean {
  const to = parseAddress(text);
  if (to === null) return false;
  const answer = ask(kernel, { to });
  return answer.tag === "route" && answer.local;
}

/** `bound`: the device that packets must leave by. */
function routed(kernel: Kernel, way: Way, tunnel: string, bound: Device | undefined): Place {
  const { source } = way;
  const from = source === undefined ? undefined : (parseAddress(source) ?? undefined);
  if (source !== undefined && !isOwnAddress(kernel, source)) {
    return unusable(`this machine does not have the address ${source}`, bound?.index);
  }
  const to = way.remote === null ? null : parseAddress(way.remote);
  if (to === null) return usable(bound?.index ?? 0, null, source ?? null);
  const device = bound?.index;
  const answer = ask(kernel, { to, from, device });
  const missing = unusable(`there is no route to ${way.remote}`, device);
  if (answer.tag === "refused") return missing;
  if (bound !== undefined) {
    // Of a VRF the kernel names the member by which the packets leave.
    if (answer.local || !matches(kernel, answer, { to, from, device })) return missing;
  } else {
    const fault = faultOfWay(kernel.device(answer.device), tunnel);
    if (fault !== null) return fault;
  }
  const chosen = source ?? answer.source;
  if (chosen !== null && LINK_LOCAL.test(chosen) && !LINK_LOCAL.test(way.remote ?? "")) {
    return unusable("its device has no address", answer.device);
  }
  return usable(answer.device, answer.via, chosen);
}

/** A route matches, or IPv4 would ask the neighbours for an address that is far away. */
function matches(
  kernel: Kernel,
  answer: Extract<RouteAnswer, { tag: "route" }>,
  question: { to: Prefix; from: Prefix | undefined; device: number | undefined },
): boolean {
  if (answer.via !== null || question.to.family === 6) return true;
  const route = ask(kernel, { ...question, matched: true });
  // A kernel before 4.13 does not know the question.
  return route.tag === "route" || route.errno === constants.errno.EINVAL;
}

function faultOf(device: Device | null, name: string): string | null {
  if (device === null) return `there is no device ${name}`;
  if (!device.up) return `its device ${name} is switched off`;
  return device.running ? null : `its device ${name} has no carrier`;
}

function faultOfWay(device: Device | null, tunnel: string): Place | null {
  if (device?.name === tunnel) {
    return { ...unusable("its packets would go into the tunnel", 0), loops: true };
  }
  const fault = faultOf(device, device?.name ?? "");
  return fault === null ? null : unusable(fault, device?.index);
}

function ask(kernel: Kernel, question: RouteQuestion): RouteAnswer {
  return decodeRouteAnswer(kernel.askRoute(encodeRouteQuestion(question)));
}

function usable(device: number, via: string | null, source: string | null): UsablePlace {
  return { tag: "usable", device, via, source };
}

function unusable(why: string, device = 0): Place & { tag: "unusable" } {
  return { tag: "unusable", why, device, loops: false };
}
