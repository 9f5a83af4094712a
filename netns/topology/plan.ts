/**
 * A lab as commands: which lines go to which program in which namespace, in order. Pure, so that the
 * whole network can be read and tested without building it.
 */
import { tunName } from "../emulator/control.ts";
import type { LinkOptions } from "../link-options.ts";
import {
  ADDRESS,
  bitsOf,
  FAMILIES,
  type Family,
  NETWORK,
  namespaceName,
  type Role,
} from "./names.ts";
import { impairer, shapingLines } from "./shaping.ts";

export interface Plan {
  readonly roles: readonly Role[];
  /** `ip -batch` outside of the lab: the cables. */
  readonly cables: readonly string[];
  /** `ip -batch` by role: devices up, addresses, routes, rules. */
  readonly ip: ReadonlyMap<Role, readonly string[]>;
  /** `tc -batch` by role. */
  readonly tc: ReadonlyMap<Role, readonly string[]>;
  /** `nft -f` by role. */
  readonly nft: ReadonlyMap<Role, string>;
}

/** Routing tables of the Local Portal: what is sent from link i's address takes table 100 + i. */
export const LINK_TABLE = 100;
/** Routing tables of a provider: into the emulator. */
const EMULATOR_TABLE = { up: 201, down: 202 } as const;
/** Rules stand behind the local table (0) and before the main one (32766). */
const RULE_PRIORITY = 1_000;
/** The tunnel's routes beat the direct ones, and these the end of the road. */
export const METRIC = { direct: 3_000, nowhere: 4_000, linkDefault: 5_000 } as const;
/** 1.2 s at 100 Mbit/s: a late emulator loses nothing. */
const EMULATOR_QUEUE_PACKETS = 10_000;
/** What an Ethernet carries; the narrower `mtu` of a link lies behind the provider. */
const ACCESS_MTU = 1_500;

/** Every address of a family; `ip` takes the family of a route from it. */
const ANY = { 4: "0.0.0.0/0", 6: "::/0" } as const;

/** Of a rule it does not: a line that begins with -6 goes to `ip -6`. */
const rule = (family: Family) => (family === 4 ? "rule add" : "-6 rule add");

export const ispOf = (link: number): Role => `isp${link}`;

/** `netem`: whether this kernel has it. */
export function planLab(id: string, links: readonly LinkOptions[], netem: boolean): Plan {
  const numbers = links.map((_, index) => index + 1);
  const shared = numbers.filter((link) => links[link - 1]?.neighbour === true);
  const ip = new Map<Role, readonly string[]>([
    ["client", endLines(ADDRESS.clientLan)],
    ["server", endLines(ADDRESS.serverLan)],
    ["lp", localLines(links)],
    ...(shared.length === 0 ? [] : [["lp2", neighbourLines(shared)] as const]),
    ["rp", remoteLines(links)],
    ...numbers.map((link): [Role, string[]] => [
      ispOf(link),
      ispLines(link, links[link - 1] as LinkOptions),
    ]),
  ]);
  const tc = links.map((options, index): [Role, string[]] => [
    ispOf(index + 1),
    shapingLines(options, netem),
  ]);
  const nft = links.map((options, index): [Role, string] => [
    ispOf(index + 1),
    ispRules(options, netem),
  ]);
  return {
    roles: [
      ...(["client", "lp", "rp", "server"] as const),
      ...(shared.length === 0 ? [] : (["lp2"] as const)),
      ...numbers.map(ispOf),
    ],
    cables: cableLines(id, numbers, shared),
    ip,
    tc: new Map(tc.filter(([, lines]) => lines.length > 0)),
    nft: new Map(nft.filter(([, rules]) => rules !== "")),
  };
}

/** `ip -batch` lines of provider `link` once the emulator's devices are there. */
export function emulatorLines(options: LinkOptions): string[] {
  return (["up", "down"] as const).flatMap((direction) => {
    const device = tunName(direction);
    const table = EMULATOR_TABLE[direction];
    const from = direction === "down" ? ["rp"] : options.neighbour ? ["lp", "lp2"] : ["lp"];
    return [
      `link set ${device} txqueuelen ${EMULATOR_QUEUE_PACKETS} mtu ${accessMtu(options)} up`,
      ...FAMILIES.flatMap((family) => [
        `route add ${ANY[family]} dev ${device} table ${table}`,
        ...from.map(
          (one) =>
            `${rule(family)} from ${ANY[family]} iif ${one} priority ${RULE_PRIORITY} lookup ${table}`,
        ),
      ]),
    ];
  });
}

/** Lines that send client and server traffic over one link without a tunnel, by role. */
export function directLines(link: number, verb: "replace" | "del"): ReadonlyMap<Role, string[]> {
  const line = (network: string, via: string) =>
    `route ${verb} ${network} via ${via} dev wan${link} metric ${METRIC.direct}`;
  return new Map([
    ["lp", FAMILIES.map((f) => line(NETWORK.server(f), ADDRESS.access(f, link, 1)))],
    ["rp", FAMILIES.map((f) => line(NETWORK.client(f), ADDRESS.transit(f, link, 1)))],
  ]);
}

function cableLines(id: string, links: readonly number[], shared: readonly number[]): string[] {
  const cable = (from: Role, fromName: string, to: Role, toName: string) =>
    `link add name ${fromName} netns ${namespaceName(id, from)} type veth ` +
    `peer name ${toName} netns ${namespaceName(id, to)}`;
  return [
    cable("client", "lan", "lp", "lan"),
    cable("server", "lan", "rp", "lan"),
    ...links.flatMap((link) => [
      cable("lp", `wan${link}`, ispOf(link), "lp"),
      cable("rp", `wan${link}`, ispOf(link), "rp"),
    ]),
    ...shared.map((link) => cable("lp2", `wan${link}`, ispOf(link), "lp2")),
  ];
}

type AddressOf = (family: Family, host: 1 | 2) => string;

function deviceLines(
  device: string,
  addressOf: AddressOf,
  host: 1 | 2,
  mtu = ACCESS_MTU,
): string[] {
  return [
    ...FAMILIES.map(
      (f) =>
        `address add ${addressOf(f, host)}/${bitsOf(f)} dev ${device}${f === 6 ? " nodad" : ""}`,
    ),
    `link set ${device} mtu ${mtu} up`,
  ];
}

function endLines(lan: AddressOf): string[] {
  return [
    "link set lo up",
    ...deviceLines("lan", lan, 2),
    ...FAMILIES.map((f) => `route add default via ${lan(f, 1)}`),
  ];
}

function localLines(links: readonly LinkOptions[]): string[] {
  const lines = ["link set lo up", ...deviceLines("lan", ADDRESS.clientLan, 1)];
  links.forEach((options, index) => {
    const link = index + 1;
    const access: AddressOf = (family, host) => ADDRESS.access(family, link, host);
    lines.push(...deviceLines(`wan${link}`, access, 2, accessMtu(options)));
    for (const f of FAMILIES) {
      const route = `route add default via ${access(f, 1)} dev wan${link}`;
      lines.push(
        `${route} table ${LINK_TABLE + link}`,
        `${route} metric ${METRIC.linkDefault + link}`,
        `${rule(f)} from ${access(f, 2)} priority ${RULE_PRIORITY} lookup ${LINK_TABLE + link}`,
      );
    }
  });
  return [...lines, ...FAMILIES.map((f) => nowhere(NETWORK.server(f)))];
}

/** The neighbour has no client behind it: what it sends into its tunnel is its own. */
function neighbourLines(links: readonly number[]): string[] {
  const own = links.flatMap((link) => {
    const access: AddressOf = (family, host) => ADDRESS.neighbour(family, link, host);
    return [
      ...deviceLines(`wan${link}`, access, 2),
      ...FAMILIES.flatMap((f) => {
        const route = `route add default via ${access(f, 1)} dev wan${link}`;
        return [
          `${route} table ${LINK_TABLE + link}`,
          `${route} metric ${METRIC.linkDefault + link}`,
          `${rule(f)} from ${access(f, 2)} priority ${RULE_PRIORITY} lookup ${LINK_TABLE + link}`,
        ];
      }),
    ];
  });
  return ["link set lo up", ...own];
}

function remoteLines(links: readonly LinkOptions[]): string[] {
  const lines = ["link set lo up", ...deviceLines("lan", ADDRESS.serverLan, 1)];
  for (const f of FAMILIES) lines.push(`address add ${NETWORK.remote(f)} dev lo`);
  links.forEach((options, index) => {
    const link = index + 1;
    const transit: AddressOf = (family, host) => ADDRESS.transit(family, link, host);
    lines.push(...deviceLines(`wan${link}`, transit, 2, options.mtu));
    for (const f of FAMILIES) {
      for (const host of [ADDRESS.access(f, link, 2), ADDRESS.neighbour(f, link, 2)]) {
        lines.push(`route add ${host}/${f === 4 ? 32 : 128} via ${transit(f, 1)} dev wan${link}`);
      }
    }
  });
  return [...lines, ...FAMILIES.map((f) => nowhere(NETWORK.client(f)))];
}

/** Nothing leaks past a tunnel that is down. */
function nowhere(network: string): string {
  return `route add unreachable ${network} metric ${METRIC.nowhere}`;
}

function ispLines(link: number, options: LinkOptions): string[] {
  const access: AddressOf = (family, host) => ADDRESS.access(family, link, host);
  const transit: AddressOf = (family, host) => ADDRESS.transit(family, link, host);
  return [
    "link set lo up",
    ...deviceLines("lp", access, 1, accessMtu(options)),
    ...deviceLines("rp", transit, 1, options.mtu),
    ...(options.neighbour
      ? deviceLines("lp2", (family, host) => ADDRESS.neighbour(family, link, host), 1)
      : []),
    ...FAMILIES.flatMap((f) => [
      `route add ${NETWORK.client(f)} via ${access(f, 2)}`,
      `route add ${NETWORK.server(f)} via ${transit(f, 2)}`,
      `route add ${NETWORK.remote(f)} via ${transit(f, 2)}`,
    ]),
  ];
}

function accessMtu(options: LinkOptions): number {
  return Math.max(ACCESS_MTU, options.mtu);
}

/** Rules of a provider; empty when it has none. */
function ispRules(options: LinkOptions, netem: boolean): string {
  const emulated = impairer(options, netem) === "emulator";
  const chains = [
    ...(emulated ? [OWN_PACKETS_CHAIN] : []),
    ...(emulated && options.nat ? [UNTRACKED_CHAIN] : []),
    ...(options.nat ? [NAT_CHAIN] : []),
  ];
  return chains.length === 0 ? "" : `table inet lab {\n${chains.join("")}}\n`;
}

/** What the provider itself sends into the emulator (IPv6 multicast) is no packet of the link. */
const OWN_PACKETS_CHAIN = `  chain output {
    type filter hook output priority filter
    oifname { "${tunName("up")}", "${tunName("down")}" } drop
  }
`;

/**
 * With an emulator a packet passes the provider twice. Connections are tracked only on the pass that
 * leaves to or comes from the Remote Portal; tracked twice, the second pass would not be translated.
 */
const UNTRACKED_CHAIN = `  chain prerouting {
    type filter hook prerouting priority raw
    iifname { "lp", "lp2", "${tunName("down")}" } notrack
  }
`;

const NAT_CHAIN = `  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname "rp" masquerade
  }
`;
