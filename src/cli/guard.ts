/** The guard of a configuration: what it is, and its place in the life of `mpfwd up`. */
import { MpfwdError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { parseAddress } from "../core/prefix.ts";
import { type Guard, guardRules, guardTable } from "../host/guard.ts";
import { guardTables, lowerCommand, lowerGuards, raiseGuard } from "../host/nft.ts";
import type { LocalConfig, PortalConfig, RemoteConfig } from "../portal/config.ts";
import type { Steps } from "./steps.ts";

/** Null where the configuration wants none. */
export function guardOf(config: PortalConfig): Guard | null {
  if (!config.tunnel.guard) return null;
  return config.role === "local" ? localGuard(config) : remoteGuard(config);
}

/** What `up` tells nft, as text for the operator; nothing without a guard. */
export function guardText(config: PortalConfig): {
  readonly made: string[];
  readonly back: string[];
} {
  const guard = guardOf(config);
  if (guard === null) return { made: [], back: [] };
  return {
    made: ["# The guard, given to nft -f -:", guardRules(guard).trimEnd()],
    back: [`nft ${lowerCommand(guardTable(guard.name)).join(" ")}`],
  };
}

/** Installs the guard and notes how it is removed. A machine that refuses it goes without. */
export async function openGuard(config: PortalConfig, steps: Steps, log: Log): Promise<void> {
  const guard = guardOf(config);
  if (guard === null) return;
  let raised = true;
  steps.push("remove the guard", async () => {
    if (raised) await lowerGuards([guardTable(guard.name)]);
  });
  const complaint = await raiseGuard(guard);
  raised = complaint === null;
  if (complaint === null) return;
  const without =
    "forged ICMP may change this machine's path MTU, forged sources fill its conntrack";
  log.warn(`no guard: ${complaint}; going on without, so ${without}`);
}

/**
 * Removes what a killed run left: the table of this name, and all others while no other portal runs.
 *
 * @param alone - no other portal runs in this network namespace
 */
export async function removeStrayGuards(name: string, alone: boolean, log: Log): Promise<void> {
  try {
    const stray = alone ? await guardTables() : [guardTable(name)];
    const removed = await lowerGuards(stray);
    if (removed.length > 0)
      log.info(`removed the guard that a killed run left: ${removed.join(" ")}`);
  } catch (error) {
    if (!(error instanceof MpfwdError)) throw error;
    log.warn(error.message);
  }
}

function localGuard({ tunnel, links, port, protocol }: LocalConfig): Guard {
  const used = new Set(links.flatMap(({ transports }) => transports));
  const remotes = links.map(({ remote }) => remote);
  // A name may have another address tomorrow.
  const known = remotes.every((remote) => parseAddress(remote) !== null);
  return {
    ...{ name: tunnel.name, port },
    protocol: used.has("raw") ? protocol : null,
    udp: used.has("udp"),
    tcp: used.has("tcp"),
    role: { tag: "local", remotes: known ? [...new Set(remotes)] : null },
  };
}

function remoteGuard({ tunnel, transports, port, protocol, listen }: RemoteConfig): Guard {
  return {
    ...{ name: tunnel.name, port },
    protocol: transports.includes("raw") ? protocol : null,
    udp: transports.includes("udp"),
    tcp: transports.includes("tcp"),
    role: { tag: "remote", addresses: listen },
  };
}
