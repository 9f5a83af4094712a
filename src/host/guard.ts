/**
 * The guard of a portal: one nftables table of its own, as text. Pure; `nft.ts` runs it.
 *
 * - ICMP and ICMPv6 that say a packet of ours was too big are dropped. Portals find their sizes by
 *   authenticated probes; but the kernel believes such a message whenever a raw socket of the quoted
 *   protocol is open, and writes its MTU into a route that other programs use.
 * - Outer packets of strangers get no connection tracking, or each forged source would fill an entry.
 * - Outer fragments of our protocol are dropped: portals never send any.
 *
 * Other tables go on deciding; this one never accepts what they would drop.
 */

/** What a portal receives from outside, as far as the guard has to know it. */
export interface Guard {
  /** Of the instance. */
  readonly name: string;
  /** IP protocol number of raw links; null: there are none. */
  readonly protocol: number | null;
  /** Port of the Remote Portal. */
  readonly port: number;
  readonly udp: boolean;
  readonly tcp: boolean;
  readonly role:
    | { readonly tag: "remote" }
    /** Whom raw links speak with, text; null: not known for sure, for it stands as a name. */
    | { readonly tag: "local"; readonly remotes: readonly string[] | null };
}

const PREFIX = "mpfwd_";

/** Before defragmentation, which is at -400. */
const BEFORE_DEFRAGMENTATION = -450;

/**
 * Octets of an ICMP or ICMPv6 header before the packet it quotes, and of a quoted IPv4 header without
 * options and of an IPv6 header.
 */
const ICMP_OCTETS = 8;
const IPV4_OCTETS = 20;
const IPV6_OCTETS = 40;

const UDP = 17;
const FRAGMENT = 44;
/** IPv6 headers that may stand before UDP or a raw protocol, and whose length varies (RFC 8200 section 4). */
const EXTENSIONS = [0, 43, 51, 60];

const TOO_BIG4 = "icmp type destination-unreachable icmp code frag-needed";
const TOO_BIG6 = "icmpv6 type packet-too-big";

/** Name of the table, in family `inet`. */
export function guardTable(name: string): string {
  return `${PREFIX}${name}`;
}

/** The guards' tables in the answer to `nft list tables inet`. */
export function guardTablesIn(answer: string): string[] {
  return [...answer.matchAll(/^table inet (mpfwd_[a-z][a-z0-9_-]*)$/gm)].map(
    ([, table]) => table as string,
  );
}

/** What `nft -f -` is told: the table as a whole. */
export function guardRules(guard: Guard): string {
  const chains = [
    chain("fragments", "prerouting", BEFORE_DEFRAGMENTATION, fragmentRules(guard)),
    chain("untracked_in", "prerouting", "raw", untrackedIn(guard)),
    chain("untracked_out", "output", "raw", untrackedOut(guard)),
    chain("too_big", "input", "filter", tooBigRules(guard)),
  ];
  const comment = `comment "guard of the mpfwd portal ${guard.name}"`;
  return [`table inet ${guardTable(guard.name)} {`, `  ${comment}`, ...chains.flat(), "}", ""].join(
    "\n",
  );
}

/** A chain without rules is left out. */
function chain(name: string, hook: string, priority: number | string, rules: string[]): string[] {
  if (rules.length === 0) return [];
  const head = `type filter hook ${hook} priority ${priority}; policy accept;`;
  return [`  chain ${name} {`, ...[head, ...rules].map((line) => `    ${line}`), "  }"];
}

function fragmentRules({ protocol }: Guard): string[] {
  // ICMPv6 is reassembled behind every hook where nothing tracks connections.
  const icmp = `exthdr frag exists ${TOO_BIG6} fib daddr type local drop`;
  if (protocol === null) return [icmp];
  return [
    // More fragments, or an offset.
    `ip protocol ${protocol} ip frag-off & 0x3fff != 0 fib daddr type local drop`,
    `exthdr frag exists meta l4proto ${protocol} fib daddr type local drop`,
    icmp,
  ];
}

/**
 * A Remote Portal hears strangers; packets that pass through it for another host are not meant. A
 * Local Portal's own remotes stay tracked: a firewall that lets in answers only must go on to see
 * them as such.
 */
function untrackedIn({ protocol, role, ...guard }: Guard): string[] {
  const strangers =
    protocol === null ? [] : sources(role).map((from) => `meta l4proto ${protocol} ${from}`.trim());
  const ports = transportsOf(guard).map((transport) => `${transport} dport ${guard.port}`);
  const rules = role.tag === "remote" ? [...strangers, ...ports] : strangers;
  return rules.map((rule) => `${rule} fib daddr type local notrack`);
}

/** Matches of those whose packets need no entry. */
function sources(role: Guard["role"]): string[] {
  if (role.tag === "remote") return [""];
  const { remotes } = role;
  if (remotes === null) return [];
  const v6 = remotes.filter((address) => address.includes(":"));
  const v4 = remotes.filter((address) => !address.includes(":"));
  return [
    v4.length === 0 ? "meta nfproto ipv4" : `ip saddr != { ${v4.join(", ")} }`,
    v6.length === 0 ? "meta nfproto ipv6" : `ip6 saddr != { ${v6.join(", ")} }`,
  ];
}

function untrackedOut({ protocol, role, ...guard }: Guard): string[] {
  if (role.tag === "local") return [];
  const raw = protocol === null ? [] : [`meta l4proto ${protocol}`];
  const ports = transportsOf(guard).map((transport) => `${transport} sport ${guard.port}`);
  return [...raw, ...ports].map((rule) => `${rule} notrack`);
}

function transportsOf({ udp, tcp }: Pick<Guard, "udp" | "tcp">): string[] {
  return [...(udp ? ["udp"] : []), ...(tcp ? ["tcp"] : [])];
}

/** TCP is not among them: it checks the quoted sequence number, and needs these messages. */
function tooBigRules({ protocol, udp, port, role }: Guard): string[] {
  const raw = protocol === null ? [] : tooBigRaw(protocol);
  if (!udp) return raw;
  // The quoted packet is one that we sent: our side's port is its source.
  return [...raw, ...tooBigUdp(port, role.tag === "remote" ? 0 : 2)];
}

function tooBigRaw(protocol: number): string[] {
  const behind = [protocol, ...EXTENSIONS, FRAGMENT].join(", ");
  const extension = [...EXTENSIONS, FRAGMENT].join(", ");
  return [
    `${TOO_BIG4} ${quoted(9, 8)} ${protocol} drop`,
    `${TOO_BIG6} ${quoted(6, 8)} ${protocol} drop`,
    // A forger may quote extension headers, which portals never send: one is looked behind.
    `${TOO_BIG6} ${quoted(6, 8)} { ${extension} } ${quoted(IPV6_OCTETS, 8)} { ${behind} } drop`,
  ];
}

/** @param at - octets from the quoted UDP header to the port that is the Remote Portal's */
function tooBigUdp(port: number, at: number): string[] {
  const [udp4, udp6] = [`${TOO_BIG4} ${quoted(9, 8)} ${UDP}`, `${TOO_BIG6} ${quoted(6, 8)}`];
  const behind = `${quoted(IPV6_OCTETS, 8)} ${UDP}`;
  return [
    `${udp4} ${quoted(IPV4_OCTETS + at, 16)} ${port} drop`,
    // With IPv4 options, or behind a header of unknown length, the port stands elsewhere.
    `${udp4} @th,${ICMP_OCTETS * 8 + 4},4 != 5 drop`,
    `${udp6} ${UDP} ${quoted(IPV6_OCTETS + at, 16)} ${port} drop`,
    `${udp6} ${FRAGMENT} ${behind} ${quoted(IPV6_OCTETS + 8 + at, 16)} ${port} drop`,
    `${udp6} { ${EXTENSIONS.join(", ")} } ${behind} drop`,
  ];
}

/** A field of the quoted packet, octets from its beginning. */
function quoted(octets: number, bits: number): string {
  return `@th,${(ICMP_OCTETS + octets) * 8},${bits}`;
}
