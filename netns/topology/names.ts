/**
 * Names and addresses of a lab. Namespaces carry the lab's id, so that several labs stand side by
 * side and leftovers are recognised; inside them every lab looks the same.
 *
 *   client --lan-- lp ==wan1..N== isp1..N ==wan1..N== rp --lan-- server
 *
 *   10.10.0.0/24  fd10:10::/64     client .2, Local Portal .1
 *   10.100.i.0/24 fd10:100:i::/64  Local Portal .2, provider i .1
 *   10.101.i.0/24 fd10:101:i::/64  Neighbour .2, provider i .1 (links with `neighbour`)
 *   10.200.i.0/24 fd10:200:i::/64  provider i .1, Remote Portal .2
 *   10.30.0.1/32  fd10:30::1/128   Remote Portal, reached through every provider
 *   10.20.0.0/24  fd10:20::/64     Remote Portal .1, server .2
 */
import { randomBytes } from "node:crypto";

/** Links are numbered 1..LINKS_MAX. */
export const LINKS_MAX = 16;

/** In front of every namespace, with a group and an id behind it. */
const PREFIX = "mpfwd";

/** `lp2` is the neighbour: another Local Portal behind the same provider, and its own client. */
export type Role = "client" | "lp" | "lp2" | "rp" | "server" | `isp${number}`;

/** Labs of one group are listed and removed together; another group does not see them. */
export function groupName(): string {
  return process.env["MPFWD_LAB_GROUP"] ?? "lab";
}

/** `lab-3fa9`: unique among the labs of this machine for all practical purposes. */
export function freshId(group: string): string {
  return `${group}-${randomBytes(3).toString("hex")}`;
}

export function namespaceName(id: string, role: Role): string {
  return `${PREFIX}-${id}-${role}`;
}

/** The lab id in a namespace's name; null when it belongs to no lab of this group. */
export function idOfNamespace(namespace: string, group: string): string | null {
  const [, id = null] =
    new RegExp(`^${PREFIX}-(${group}-[0-9a-f]{6})-[a-z0-9]+$`).exec(namespace) ?? [];
  return id;
}

export type Family = 4 | 6;

/** Host part of an address: 1 or 2. */
type Host = 1 | 2;

const text = (family: Family, v4: string, v6: string) => (family === 4 ? v4 : v6);

export const ADDRESS = {
  client: (family: Family) => text(family, "10.10.0.2", "fd10:10::2"),
  server: (family: Family) => text(family, "10.20.0.2", "fd10:20::2"),
  /** The Remote Portal's one address for all links. */
  remote: (family: Family) => text(family, "10.30.0.1", "fd10:30::1"),
  clientLan: (family: Family, host: Host) => text(family, `10.10.0.${host}`, `fd10:10::${host}`),
  serverLan: (family: Family, host: Host) => text(family, `10.20.0.${host}`, `fd10:20::${host}`),
  /** Between the Local Portal (2) and provider `link` (1). */
  access: (family: Family, link: number, host: Host) =>
    text(family, `10.100.${link}.${host}`, `fd10:100:${link}::${host}`),
  /** Between the neighbour (2) and provider `link` (1). */
  neighbour: (family: Family, link: number, host: Host) =>
    text(family, `10.101.${link}.${host}`, `fd10:101:${link}::${host}`),
  /** Between provider `link` (1) and the Remote Portal (2). */
  transit: (family: Family, link: number, host: Host) =>
    text(family, `10.200.${link}.${host}`, `fd10:200:${link}::${host}`),
} as const;

export const NETWORK = {
  client: (family: Family) => text(family, "10.10.0.0/24", "fd10:10::/64"),
  server: (family: Family) => text(family, "10.20.0.0/24", "fd10:20::/64"),
  remote: (family: Family) => text(family, "10.30.0.1/32", "fd10:30::1/128"),
} as const;

export const FAMILIES: readonly Family[] = [4, 6];

/** Prefix length of every network above. */
export const bitsOf = (family: Family) => (family === 4 ? 24 : 64);
