/**
 * What a configuration changes on this machine: finds the links' addresses and present paths, then
 * plans. Also the text of `--dry-run`.
 */
import { lookup } from "node:dns/promises";
import type { Log } from "../core/log.ts";
import { contains, type Prefix, parseAddress } from "../core/prefix.ts";
import { applyCommand, type HostChange, undoCommand } from "../host/change.ts";
import { askOuterPath, hasIpv6, type OuterQuestion } from "../host/host.ts";
import { type OuterPath, planHost, tunnelRoutes } from "../host/plan.ts";
import type { LinkConfig, PortalConfig } from "../portal/config.ts";
import { innerMtu, listenMtuLinks, type MtuLink } from "../portal/mtu.ts";
import { guardText } from "./guard.ts";

/** The plan for a device of this name and MTU, from the paths of this moment. */
export async function hostPlan(
  config: PortalConfig,
  device: string,
  mtu: number,
  log: Log,
): Promise<HostChange[]> {
  const { addresses } = config.tunnel;
  // What a client may be reached at must be routed to it.
  const inner = config.role === "remote" ? config.clients.flatMap((client) => client.inner) : [];
  const routes = [...config.tunnel.routes, ...inner];
  const covering = tunnelRoutes({ addresses, routes });
  const outer = config.role === "local" ? await outerPaths(config.links, covering, log) : [];
  return planHost({ device, mtu, addresses, routes, outer, ipv6: hasIpv6() });
}

/** The MTU that a portal would set, from the links' addresses of this moment, without opening one. */
export async function plannedMtu(config: PortalConfig, log: Log): Promise<number> {
  const { mtu, encrypt, tagOctets } = config.tunnel;
  if (mtu !== undefined) return mtu;
  return innerMtu(await mtuLinks(config, log), encrypt ? 16 : tagOctets);
}

async function mtuLinks(config: PortalConfig, log: Log): Promise<MtuLink[]> {
  if (config.role === "remote") return listenMtuLinks(config.listen, config.transports);
  const links = config.links.map(async (link): Promise<MtuLink[]> => {
    const questions = await questionsOf(link, log);
    const { mtu, transports } = link;
    return questions.map(({ address }) => ({ mtu, family: address.family, transports }));
  });
  return (await Promise.all(links)).flat();
}

export function planText(config: PortalConfig, changes: readonly HostChange[]): string {
  const made = changes.map((change) => `ip ${applyCommand(change).join(" ")}`);
  const back = [...changes].reverse().flatMap((change) => {
    const command = undoCommand(change);
    return command === null ? [] : [`ip ${command.join(" ")}`];
  });
  const guard = guardText(config);
  return [
    ...guard.made,
    `# The TUN device ${config.tunnel.name} is created, and leaves with the process. Then:`,
    ...made,
    "# At the end, where the machine still shows them:",
    ...back,
    ...guard.back,
    "",
  ].join("\n");
}

async function outerPaths(
  links: readonly LinkConfig[],
  routes: readonly Prefix[],
  log: Log,
): Promise<OuterPath[]> {
  const found = links.map(async (link) => {
    const questions = await questionsOf(link, log);
    return Promise.all(questions.map((question) => outerPath(question, routes)));
  });
  return (await Promise.all(found)).flat().filter((path) => path !== null);
}

/** Null where no route of ours is needed, or nothing leads to the address now: the portal waits for its link. */
async function outerPath(
  question: OuterQuestion,
  routes: readonly Prefix[],
): Promise<OuterPath | null> {
  if (!routes.some((route) => contains(route, question.address))) return null;
  const path = await askOuterPath(question);
  return path === "unreachable" ? null : path;
}

async function questionsOf(link: LinkConfig, log: Log): Promise<OuterQuestion[]> {
  const addresses = await addressesOf(link, log);
  const source = link.source === undefined ? null : parseAddress(link.source);
  return addresses
    .filter((address) => source === null || source.family === address.family)
    .map((address) => ({ address, source: link.source, device: link.device }));
}

async function addressesOf(link: LinkConfig, log: Log): Promise<Prefix[]> {
  const literal = parseAddress(link.remote);
  if (literal !== null) return [literal];
  try {
    const found = await lookup(link.remote, { all: true });
    return found.flatMap(({ address }) => parseAddress(address) ?? []);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    log.warn(`link ${link.name}: ${link.remote} has no address now (${reason}); no route for it`);
    return [];
  }
}
