/** The guard of a configuration: what it is, and its place in the life of `mpfwd up`. */
import { MpfwdError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { parseAddress } from "../core/prefix.ts";
import { type Guard, guardRules, guardTable } from "../host/guard.ts";
import { guardTables, lowerCommand, lowerGuards, raiseGuard } from "../host/nft.ts";
import { connectionsTracked } from "../host/tracking.ts";
import type { LocalConfig, PortalConfig, RemoteConfig } from "../portal/config.ts";
import type { Steps } from "./steps.ts";

const LOOK_MS = 1000;

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
  const tracked = connectionsTracked();
  const when = tracked ? "since connections are tracked here" : "more once connections are tracked";
  return {
    made: [`# The guard, given to nft -f -, ${when}:`, guardRules(guard, tracked).trimEnd()],
    back: [`nft ${lowerCommand(guardTable(guard.name)).join(" ")}`],
  };
}

/**
 * Installs the guard and notes how it is removed. A machine that refuses it goes without.
 *
 * @returns null without a guard
 */
export async function openGuard(
  config: PortalConfig,
  steps: Steps,
  log: Log,
): Promise<RaisedGuard | null> {
  const guard = guardOf(config);
  if (guard === null) return null;
  let raised = true;
  steps.push("remove the guard", async () => {
    try {
      // Whatever nft has said: one that was given up may have done its work.
      await lowerGuards([guardTable(guard.name)]);
    } catch (error) {
      // A table that another program owns is not ours.
      if (raised) throw error;
    }
  });
  const first = { ...guard, tcp: false };
  const tracked = connectionsTracked();
  const complaint = await raiseGuard(first, tracked);
  raised = complaint === null;
  if (complaint === null) {
    const open = new RaisedGuard(guard, tracked, log);
    steps.push("leave the guard as it is", () => open.end());
    return open;
  }
  const without =
    "forged ICMP may change this machine's path MTU, forged sources fill its conntrack";
  log.warn(`no guard: ${complaint}; going on without, so ${without}`);
  return null;
}

/**
 * An installed guard: once a second it looks, at a file of the kernel's, whether connections are
 * tracked, and whether the port in TCP is ours, which another program may have at first. The rules
 * that this takes are added, and stay.
 */
class RaisedGuard {
  readonly #guard: Guard;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #tracked: boolean;
  #tcp = false;
  #hearsTcp = () => false;
  #changing: Promise<void> | null = null;

  constructor(guard: Guard, tracked: boolean, log: Log) {
    this.#guard = guard;
    this.#tracked = tracked;
    this.#log = log;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** The portal runs now, and says whether it is heard in TCP. */
  follow(hearsTcp: () => boolean): void {
    this.#hearsTcp = hearsTcp;
    this.#look();
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.#changing;
  }

  #look(): void {
    if (this.#changing !== null) return;
    const tracked = this.#tracked || connectionsTracked();
    const tcp = tracked && this.#guard.tcp && this.#hearsTcp();
    if (tracked === this.#tracked && tcp === this.#tcp) return;
    this.#changing = this.#change(tracked, tcp);
  }

  async #change(tracked: boolean, tcp: boolean): Promise<void> {
    const complaint = await raiseGuard({ ...this.#guard, tcp }, tracked);
    this.#changing = null;
    this.#tracked = tracked;
    this.#tcp = tcp;
    const complete = tracked && tcp === (this.#guard.tcp && this.#guard.role.tag === "remote");
    if (complete || complaint !== null) clearInterval(this.#timer);
    if (complaint === null) return;
    const risk = "forged sources may fill this machine's conntrack";
    this.#log.warn(`${risk}, the guard stays as it is: ${complaint}`);
  }
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
