/**
 * Faults that no single value has: two links of one name, two clients that may send from the same
 * address, a key given twice or not at all. Works on the raw tree, so that these faults are
 * reported together with those of shape.
 */
import {
  contains,
  networkOf,
  overlaps,
  type Prefix,
  parseAddress,
  parsePrefix,
} from "../../core/prefix.ts";
import type { Fault } from "./fault.ts";
import type { KeyPath } from "./locate.ts";
import { tableName } from "./shape.ts";
import { tablesAt, textsAt, valueAt } from "./tree.ts";

/** RFC 8200 section 5: an IPv6 link carries 1280 octets. */
const IPV6_MTU_MIN = 1280;

type Written = { readonly path: KeyPath; readonly prefix: Prefix };

export function crossCheckLocal(tree: unknown): Fault[] {
  return [
    ...tunnelFaults(tree, []),
    ...secretFaults(tree, ["peer"]),
    ...repeated(column(tree, "link", "name"), "a link of this name stands above"),
    ...tablesAt(tree, ["link"]).flatMap(({ path }) => [
      ...familyFaults(tree, path),
      ...rateFaults(tree, path, valueAt(tree, ["tunnel", "controller"])),
      ...leastFaults(tree, path),
    ]),
  ];
}

export function crossCheckRemote(tree: unknown): Fault[] {
  const clients = tablesAt(tree, ["client"]);
  const inner = clients.map(({ path }) => prefixesAt(tree, [...path, "inner"]));
  return [
    ...tunnelFaults(tree, inner.flat()),
    ...clients.flatMap(({ path }) => secretFaults(tree, path)),
    ...repeated(column(tree, "client", "name"), "a client of this name stands above"),
    ...repeated(column(tree, "client", "client_id"), "a client of this id stands above"),
    ...innerFaults(tree, inner),
  ];
}

function tunnelFaults(tree: unknown, inner: readonly Written[]): Fault[] {
  const addresses = prefixesAt(tree, ["tunnel", "addresses"]);
  const routes = prefixesAt(tree, ["tunnel", "routes"]);
  const faults = [
    ...rateFaults(tree, ["tunnel"], undefined),
    ...repeated(textsAt(tree, ["tunnel", "addresses"]), "this address stands above"),
    ...repeated(textsAt(tree, ["tunnel", "routes"]), "this route stands above"),
  ];
  const mtu = valueAt(tree, ["tunnel", "mtu"]);
  const ipv6 = [...addresses, ...routes, ...inner].some(({ prefix }) => prefix.family === 6);
  if (ipv6 && typeof mtu === "number" && mtu < IPV6_MTU_MIN) {
    const expected = `${IPV6_MTU_MIN} or more, for the tunnel carries IPv6`;
    faults.push({ path: ["tunnel", "mtu"], what: `${mtu} is too small for IPv6`, expected });
  }
  return faults;
}

function secretFaults(tree: unknown, path: KeyPath): Fault[] {
  if (valueAt(tree, path) === undefined) return [];
  const inline = valueAt(tree, [...path, "key"]) !== undefined;
  const file = valueAt(tree, [...path, "key_file"]) !== undefined;
  const where = tableName(path);
  const expected = "either key or key_file";
  if (inline && file) {
    const what = `${where} has both key and key_file`;
    return [{ path: [...path, "key_file"], at: "key", what, expected }];
  }
  if (inline || file) return [];
  return [{ path: [...path, "key"], what: `${where} has no key`, expected }];
}

/** A rate is for `controller = "fixed"`, which needs one: its own or the tunnel's. */
function rateFaults(tree: unknown, path: KeyPath, inherited: unknown): Fault[] {
  const own = valueAt(tree, [...path, "controller"]);
  const fixed = (own ?? inherited) === "fixed";
  const rate = valueAt(tree, [...path, "rate"]);
  if (fixed && rate === undefined && valueAt(tree, ["tunnel", "rate"]) === undefined) {
    if (own === undefined) return [];
    const what = `controller = "fixed" without a rate`;
    return [{ path: [...path, "controller"], what, expected: 'rate = "50mbit" beside it' }];
  }
  if (fixed || rate === undefined) return [];
  const what = "a rate is measured, not set";
  return [{ path: [...path, "rate"], at: "key", what, expected: 'controller = "fixed" beside it' }];
}

/** What is fixed falls back to nothing. */
function leastFaults(tree: unknown, link: KeyPath): Fault[] {
  const transport = valueAt(tree, [...link, "transport"]) ?? "auto";
  const least = valueAt(tree, [...link, "min_transport"]);
  if (least === undefined || transport === "auto") return [];
  const what = `transport = ${JSON.stringify(transport)} never falls back`;
  const expected = 'transport = "auto" beside it';
  return [{ path: [...link, "min_transport"], at: "key", what, expected }];
}

/** A source address cannot reach a remote address of the other family. */
function familyFaults(tree: unknown, link: KeyPath): Fault[] {
  const own = valueAt(tree, [...link, "remote"]);
  const source = addressOf(valueAt(tree, [...link, "source"]));
  const remote = addressOf(own ?? valueAt(tree, ["peer", "address"]));
  if (source === null || remote === null || source.family === remote.family) return [];
  const what = `the source is IPv${source.family}, the remote address IPv${remote.family}`;
  return [{ path: [...link, "source"], what, expected: `an IPv${remote.family} address` }];
}

function innerFaults(tree: unknown, inner: readonly (readonly Written[])[]): Fault[] {
  const own = prefixesAt(tree, ["tunnel", "addresses"]);
  const faults: Fault[] = [];
  const taken: { readonly written: Written; readonly client: number }[] = [];
  for (const [client, prefixes] of inner.entries()) {
    for (const written of prefixes) {
      const { path, prefix } = written;
      const portal = own.find((address) => contains(prefix, fullLength(address.prefix)));
      if (portal !== undefined) {
        const what = `${prefix.text} contains this portal's own address ${portal.prefix.text}`;
        faults.push({ path, what, expected: "addresses of the client only" });
      }
      const other = taken.find((entry) => overlaps(entry.written.prefix, prefix));
      if (other !== undefined) {
        const whose = other.client === client ? "of the same client" : "of another client";
        const what = `${prefix.text} overlaps ${other.written.prefix.text} ${whose}`;
        faults.push({ path, what, expected: "disjoint networks" });
      }
      taken.push({ written, client });
    }
  }
  return faults;
}

function repeated(values: readonly { path: KeyPath; text: string }[], what: string): Fault[] {
  const seen = new Set<string>();
  return values.flatMap(({ path, text }) => {
    const name = text.toLowerCase();
    const again = seen.has(name);
    seen.add(name);
    return again ? [{ path, what, expected: "each one once" }] : [];
  });
}

function column(tree: unknown, list: string, key: string): { path: KeyPath; text: string }[] {
  return tablesAt(tree, [list]).flatMap(({ path, table }) => {
    const text = table[key];
    return typeof text === "string" ? [{ path: [...path, key], text }] : [];
  });
}

function prefixesAt(tree: unknown, path: KeyPath): Written[] {
  return textsAt(tree, path).flatMap(({ path: own, text }) => {
    const prefix = parsePrefix(text);
    return prefix === null ? [] : [{ path: own, prefix }];
  });
}

function addressOf(value: unknown): Prefix | null {
  return typeof value === "string" ? parseAddress(value) : null;
}

function fullLength(prefix: Prefix): Prefix {
  return networkOf({ ...prefix, bits: prefix.address.length * 8 });
}
