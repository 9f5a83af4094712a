/** What `mpfwd probe` is put behind, and what it may say of it. */
import type { Transport } from "../../src/core/transport.ts";
import type { Word } from "../../src/probe/judgement.ts";
import type { IcmpError } from "../topology/packets.ts";
import { FORGED_MTU } from "./ladder/attacks.ts";

/** `up/down`, as the verdict recommends. */
export type Carriers = `${Transport}/${Transport}`;

export interface ProbeCase {
  readonly name: string;
  readonly summary: string;
  /** Rules of the middlebox. */
  readonly box: string;
  readonly link?: string;
  readonly port?: number;
  /** What each direction is to be carried by; null: nothing works. */
  readonly carriers: Carriers | null;
  /** What may be said of raw in each direction; nobody can tell what a way down does that nobody opened. */
  readonly up: readonly Word[];
  readonly down: readonly Word[];
  /** Another client behind the same translation has the protocol number. */
  readonly rival?: boolean;
  /** ICMP errors about the probe's own packets that somebody forges while it runs. */
  readonly forged?: readonly IcmpError[];
}

const OK = ["ok"] as const;
const BLOCKED = ["blocked"] as const;
const NEVER_OPENED = ["blocked", "unreachable"] as const;
const POLICED = ["policed"] as const;
const MANGLED = ["mangled"] as const;
const SHORT = ["size-limited"] as const;
const BOTH_OK = { up: OK, down: OK, carriers: "raw/raw" } as const;
const BOTH_BLOCKED = { up: BLOCKED, down: NEVER_OPENED } as const;

export const PROBE_CASES: readonly ProbeCase[] = [
  { name: "open", summary: "everything passes", box: "none", ...BOTH_OK },
  {
    name: "raw-never",
    summary: "raw passes neither way",
    ...{ box: "drop=raw", carriers: "udp/udp", ...BOTH_BLOCKED },
  },
  {
    name: "raw-up-only",
    summary: "raw passes up alone",
    ...{ box: "drop_down=raw", carriers: "raw/udp", up: OK, down: BLOCKED },
  },
  {
    name: "raw-down-only",
    summary: "raw passes down alone",
    ...{ box: "drop_up=raw", carriers: "udp/udp", up: BLOCKED, down: OK },
  },
  {
    name: "rejected",
    summary: "raw is refused by ICMP",
    ...{ box: "reject=raw", carriers: "udp/udp", ...BOTH_BLOCKED },
  },
  {
    name: "policed",
    summary: "raw is policed to 1 Mbit/s",
    ...{ box: "police=raw@1mbit", carriers: "udp/udp", up: POLICED, down: POLICED },
  },
  {
    name: "policed-down",
    summary: "raw is policed to 1 Mbit/s down",
    ...{ box: "police_down=raw@1mbit", carriers: "raw/udp", up: OK, down: POLICED },
  },
  {
    name: "policed-up",
    summary: "raw is policed to 1 Mbit/s up",
    ...{ box: "police_up=raw@1mbit", carriers: "udp/raw", up: POLICED, down: OK },
  },
  {
    name: "mangled",
    summary: "raw is altered",
    box: "mangle=raw",
    ...{ carriers: "udp/udp", up: MANGLED, down: [...MANGLED, ...NEVER_OPENED] },
  },
  {
    name: "mangled-down",
    summary: "raw is altered down",
    ...{ box: "mangle_down=raw", carriers: "raw/udp", up: OK, down: MANGLED },
  },
  {
    name: "mangled-up",
    summary: "raw is altered up",
    ...{ box: "mangle_up=raw", carriers: "udp/udp", up: MANGLED, down: OK },
  },
  {
    name: "large",
    summary: "raw packets of more than 1000 octets are dropped",
    ...{ box: "longer=raw@1000", carriers: "udp/udp", up: SHORT, down: SHORT },
  },
  {
    name: "large-down",
    summary: "raw packets of more than 1000 octets are dropped down",
    ...{ box: "longer_down=raw@1000", carriers: "raw/udp", up: OK, down: SHORT },
  },
  {
    name: "large-up",
    summary: "raw packets of more than 1000 octets are dropped up",
    ...{ box: "longer_up=raw@1000", carriers: "udp/raw", up: SHORT, down: OK },
  },
  { name: "icmp-filtered", summary: "no ICMP passes", box: "drop=icmp", ...BOTH_OK },
  { name: "udp-blocked", summary: "no UDP passes", box: "drop=udp", ...BOTH_OK },
  {
    name: "tcp-left",
    summary: "neither raw nor UDP passes",
    ...{ box: "drop=udp,drop=raw", carriers: "tcp/tcp", ...BOTH_BLOCKED },
  },
  {
    name: "tcp-443",
    summary: "nothing but TCP to port 443 passes",
    ...{ box: "only=443", port: 443, carriers: "tcp/tcp", ...BOTH_BLOCKED },
  },
  {
    name: "nothing",
    summary: "nothing passes",
    box: "drop=raw,drop=udp,drop=tcp",
    ...{ carriers: null, up: NEVER_OPENED, down: NEVER_OPENED },
  },
  { name: "nat", summary: "a NAT that passes all", box: "none", link: "nat", ...BOTH_OK },
  {
    name: "nat-conflict",
    summary: "another client behind the same NAT has the protocol number",
    ...{ box: "none", link: "nat,neighbour", rival: true },
    ...{ carriers: "udp/udp", up: ["nat-conflict"], down: NEVER_OPENED },
  },
  {
    name: "forged-fragmentation-needed",
    summary: `everything passes; forged ICMP says: fragmentation needed, MTU ${FORGED_MTU}`,
    ...{ box: "none", forged: [{ tag: "too big", mtu: FORGED_MTU }], ...BOTH_OK },
  },
  {
    name: "forged-unreachable",
    summary: "everything passes; forged ICMP says: protocol and port unreachable",
    forged: [{ tag: "protocol unreachable" }, { tag: "port unreachable" }],
    ...{ box: "none", ...BOTH_OK },
  },
];
