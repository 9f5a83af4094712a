/**
 * The guard of a portal: one nftables table of its own, as text. Pure; `nft.ts` runs it.
 *
 * - ICMP and ICMPv6 that say a packet of ours was too big are dropped. Portals find their sizes by
 *   authenticated probes; but the kernel believes such a message whenever a raw socket of the quoted
 *   protocol is open, and writes its MTU into a route that other programs use.
 * - Outer fragments of our protocol are dropped: portals never send any.
 * - Where connections are tracked, outer packets of strangers are not, or each forged source would
 *   fill an entry.
 *
 * Other tables go on deciding; this one never accepts what they would drop. Every packet of the
 * machine passes it, so it has one chain at one hook, whose rules compare the protocol alone; only
 * where connections are tracked it has more, and saves what tracking costs.
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
  readonly role: /** Whom it listens for, its own addresses, text; empty: all that the machine has. */
    | { readonly tag: "remote"; readonly addresses: readonly string[] }
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

const FRAGMENT_OCTETS = 8;

const ICMP = 1;
const UDP = 17;
const FRAGMENT = 44;
const ICMPV6 = 58;
/** IPv6 headers that may stand before UDP or a raw protocol, and whose length varies (RFC 8200 section 4). */
const EXTENSIONS = [0, 43, 51, 60];

const TOO_BIG4 = "icmp type destination-unreachable icmp code frag-needed";
const TOO_BIG6 = "icmpv6 type packet-too-big";
/** Not what this machine only forwards. */
const HERE = "fib daddr type local";
/**
 * More fragments, or an offset. An ICMP error is never fragmented by who means it: its first fragment
 * would hide what it quotes.
 */
const FRAGMENT4 = "ip frag-off & 0x3fff != 0";
const FRAGMENT6 = "exthdr frag exists";
const FAMILIES = [
  { family: "ipv4", fragment: FRAGMENT4, is: (address: string) => !address.includes(":") },
  { family: "ipv6", fragment: FRAGMENT6, is: (address: string) => address.includes(":") },
] as const;

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

/**
 * What `nft -f -` is told: the table as a whole.
 *
 * @param tracked - connections are tracked in this network namespace
 */
export function guardRules(guard: Guard, tracked: boolean): string {
  const { name, protocol } = guard;
  const lines = [
    `comment "guard of the mpfwd portal ${name}"`,
    ...hooked("outside", "prerouting", BEFORE_DEFRAGMENTATION, [
      `meta l4proto ${ICMP} goto icmp4`,
      `meta l4proto ${ICMPV6} goto icmp6`,
      ...(protocol === null ? [] : [`meta l4proto ${protocol} goto raw_in`]),
    ]),
    ...chain("icmp4", [`${TOO_BIG4} ${HERE} goto too_big4`]),
    ...chain("icmp6", [`${TOO_BIG6} ${HERE} goto too_big6`]),
    ...chain("too_big4", [`${FRAGMENT4} drop`, ...tooBig4(guard)]),
    ...chain("too_big6", [`${FRAGMENT6} drop`, ...tooBig6(guard)]),
    ...(protocol === null
      ? []
      : chain("raw_in", [...fragments(guard), ...untracked(guard, tracked)])),
    ...(tracked ? portsUntracked(guard) : []),
  ];
  const table = `table inet ${guardTable(name)}`;
  return [`${table} {`, ...lines.map((line) => `  ${line}`), "}", ""].join("\n");
}

/** The chains that keep a Remote Portal's ports, and all that it sends, out of connection tracking. */
function portsUntracked(guard: Guard): string[] {
  const { protocol, port, role } = guard;
  if (role.tag !== "remote") return [];
  const there = role.addresses.length === 0 ? [""] : oneOf("saddr", role.addresses);
  const ports = (side: string) => transportsOf(guard).map((one) => `${one} ${side} ${port}`);
  const raw = protocol === null ? [] : [`meta l4proto ${protocol}`];
  const out = [...raw, ...ports("sport")];
  return [
    // UDP may arrive in fragments, which have ports when they are whole again.
    ...hooked("ports_in", "prerouting", "raw", each(ports("dport"), here(role), "notrack return")),
    ...hooked("outer_out", "output", "raw", each(out, there, "notrack return")),
  ];
}

/** A chain at a hook; one without rules is left out. */
function hooked(name: string, hook: string, priority: number | string, rules: string[]): string[] {
  if (rules.length === 0) return [];
  return chain(name, [`type filter hook ${hook} priority ${priority}; policy accept;`, ...rules]);
}

function chain(name: string, rules: readonly string[]): string[] {
  return [`chain ${name} {`, ...rules.map((line) => `  ${line}`), "}"];
}

/** A rule for each match at each place. */
function each(matches: readonly string[], places: readonly string[], verdict: string): string[] {
  return matches.flatMap((match) =>
    places.map((place) => [match, place, verdict].filter((part) => part !== "").join(" ")),
  );
}

/** Matches of packets whose address is one of these, one of each family. */
function oneOf(side: "saddr" | "daddr", addresses: readonly string[], not = ""): string[] {
  const [v4 = [], v6 = []] = FAMILIES.map(({ is }) => addresses.filter(is));
  return [
    ...(v4.length === 0 ? [] : [`ip ${side} ${not}{ ${v4.join(", ")} }`]),
    ...(v6.length === 0 ? [] : [`ip6 ${side} ${not}{ ${v6.join(", ")} }`]),
  ];
}

/** Matches of packets for the addresses at which a portal hears. */
function here(role: Guard["role"]): string[] {
  const own = role.tag === "remote" ? role.addresses : [];
  return own.length === 0 ? [HERE] : oneOf("daddr", own);
}

/** The address is compared last: few packets are fragments. */
function fragments({ role }: Guard): string[] {
  const own = role.tag === "remote" ? role.addresses : [];
  return FAMILIES.flatMap(({ is, fragment }) => {
    const places = own.length === 0 ? [HERE] : oneOf("daddr", own.filter(is));
    return each([fragment], places, "drop");
  });
}

/**
 * Whose raw packets need no entry. A Remote Portal hears strangers. A Local Portal's own remotes stay
 * tracked: a firewall that lets in answers only must go on to see them as such.
 */
function untracked({ role }: Guard, tracked: boolean): string[] {
  if (!tracked) return [];
  if (role.tag === "remote") return each([""], here(role), "notrack");
  const { remotes } = role;
  if (remotes === null) return [];
  const strangers = FAMILIES.flatMap(({ family, is }) => {
    const known = oneOf("saddr", remotes.filter(is), "!= ");
    return known.length === 0 ? [`meta nfproto ${family}`] : known;
  });
  return each(strangers, [HERE], "notrack");
}

function transportsOf({ udp, tcp }: Pick<Guard, "udp" | "tcp">): string[] {
  return [...(udp ? ["udp"] : []), ...(tcp ? ["tcp"] : [])];
}

/** TCP is not among what must not be quoted: it checks the sequence number, and needs these messages. */
function tooBig4(guard: Guard): string[] {
  const raw = guard.protocol === null ? [] : [`${quoted(9, 8)} ${guard.protocol} drop`];
  if (!guard.udp) return raw;
  const udp = `${quoted(9, 8)} ${UDP}`;
  return [
    ...raw,
    `${udp} ${quoted(IPV4_OCTETS + portAt(guard), 16)} ${guard.port} drop`,
    // With IPv4 options the port stands elsewhere.
    `${udp} @th,${ICMP_OCTETS * 8 + 4},4 != 5 drop`,
  ];
}

/** A forger may quote extension headers, which portals never send: one is looked behind. */
function tooBig6(guard: Guard): string[] {
  const next = quoted(6, 8);
  const behind = quoted(IPV6_OCTETS, 8);
  const headers = [...EXTENSIONS, FRAGMENT];
  const { protocol } = guard;
  const known = protocol === null ? headers : [protocol, ...headers];
  const raw = protocol === null ? [] : [`${next} ${protocol} drop`];
  const both = `${next} { ${headers.join(", ")} } ${behind} { ${known.join(", ")} } drop`;
  if (!guard.udp) return [...raw, both];
  const port = IPV6_OCTETS + portAt(guard);
  return [
    ...raw,
    both,
    `${next} ${UDP} ${quoted(port, 16)} ${guard.port} drop`,
    `${next} ${FRAGMENT} ${behind} ${UDP} ${quoted(FRAGMENT_OCTETS + port, 16)} ${guard.port} drop`,
    // Behind a header of unknown length the port stands anywhere.
    `${next} { ${EXTENSIONS.join(", ")} } ${behind} ${UDP} drop`,
  ];
}

/** Where in a quoted UDP header, of a packet that we sent, the Remote Portal's port stands. */
function portAt({ role }: Guard): number {
  return role.tag === "remote" ? 0 : 2;
}

/** A field of the quoted packet, octets from its beginning. */
function quoted(octets: number, bits: number): string {
  return `@th,${(ICMP_OCTETS + octets) * 8},${bits}`;
}
