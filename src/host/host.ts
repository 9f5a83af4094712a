/**
 * The machine's side of a portal: asks what is there, makes the planned changes, takes them back,
 * and removes what a killed run left. Decides nothing that `plan.ts` could decide.
 */
import { existsSync } from "node:fs";
import { MpfwdError } from "../core/errors.ts";
import { addressText, type Prefix } from "../core/prefix.ts";
import {
  applyCommand,
  type HostChange,
  ROUTE_PROTOCOL,
  type RouteChange,
  replaceCommand,
  undoCommand,
} from "./change.ts";
import { askIp, runIp, runIpForced, tryIp } from "./ip.ts";
import { type Machine, readMachine, readOuterPath, readWayBeside, remaining } from "./machine.ts";
import type { OuterPath } from "./plan.ts";

/** One address a link sends to, and how its socket is bound. */
export interface OuterQuestion {
  readonly address: Prefix;
  readonly source?: string | undefined;
  readonly device?: string | undefined;
}

export function hasIpv6(): boolean {
  return existsSync("/proc/sys/net/ipv6");
}

/**
 * How the kernel reaches an address at present.
 *
 * @returns null where no route of ours may interfere; "unreachable" without any path
 */
export async function askOuterPath(
  question: OuterQuestion,
): Promise<OuterPath | "unreachable" | null> {
  const { address, source, device } = question;
  const from = source === undefined ? [] : ["from", source];
  const over = device === undefined ? [] : ["oif", device];
  const answer = await tryIp("route", "get", addressText(address), ...from, ...over);
  return answer === null ? "unreachable" : readOuterPath(address, answer);
}

/** How the kernel would reach an address if there were no tunnel, by the main table; null: not at all. */
export async function askWayBeside(
  { address, source, device }: OuterQuestion,
  tunnel: string,
): Promise<OuterPath | null> {
  // A rule that leads elsewhere does so whatever the main table says.
  if ((await askOuterPath({ address, source, device })) === null) return null;
  const family = address.family === 4 ? "-4" : "-6";
  const answer = await askIp(family, "route", "show", "match", addressText(address));
  return readWayBeside(address, answer, tunnel, device);
}

/** Puts routes in the place of others. @returns the complaints of `ip`, "" for none */
export async function replaceRoutes(
  added: readonly RouteChange[],
  stale: readonly RouteChange[],
): Promise<string> {
  const complaint = await runIpForced(added.map(replaceCommand));
  const left = stale.filter(
    ({ to, metric }) => !added.some((one) => one.to === to && one.metric === metric),
  );
  await undoChanges(left);
  return complaint;
}

/** @throws MpfwdError ERR_HOST; what was done before the failure is then still there */
export async function applyChanges(changes: readonly HostChange[]): Promise<void> {
  await runIp(changes.map(applyCommand));
}

/**
 * Takes changes back in reverse order, those that the machine still shows.
 *
 * @returns what was taken back
 * @throws MpfwdError ERR_HOST when something is still there afterwards
 */
export async function undoChanges(changes: readonly HostChange[]): Promise<HostChange[]> {
  if (changes.length === 0) return [];
  const there = remaining(changes, await askMachine()).reverse();
  if (there.length === 0) return [];
  const commands = there.flatMap((change) => {
    const command = undoCommand(change);
    return command === null ? [] : [command];
  });
  const complaint = await runIpForced(commands);
  const left = remaining(there, await askMachine());
  if (left.length > 0) {
    const names = left.map((change) => `ip ${undoCommand(change)?.join(" ")}`).join("; ");
    throw new MpfwdError("ERR_HOST", `could not undo (${complaint}); do it by hand: ${names}`);
  }
  return there;
}

/** Routes with our protocol number, whoever made them. */
export async function ownRoutes(): Promise<HostChange[]> {
  return [...(await askMachine()).routes];
}

export async function deviceExists(name: string): Promise<boolean> {
  return (await askMachine()).devices.has(name);
}

async function askMachine(): Promise<Machine> {
  const protocol = ["proto", String(ROUTE_PROTOCOL)];
  const [addresses, ...routes] = await Promise.all([
    askIp("address", "show"),
    askIp("-4", "route", "show", ...protocol),
    hasIpv6() ? askIp("-6", "route", "show", ...protocol) : [],
  ]);
  return readMachine(addresses, routes);
}
