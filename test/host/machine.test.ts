/** What `ip -json` answers, and which of our changes it shows. The answers are from iproute2 6.1. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "../../src/core/prefix.ts";
import type { HostChange } from "../../src/host/change.ts";
import { readMachine, readOuterPath, readWayBeside, remaining } from "../../src/host/machine.ts";

const ADDRESSES = [
  { ifname: "lo", flags: ["LOOPBACK", "UP"], addr_info: [{ local: "127.0.0.1", prefixlen: 8 }] },
  {
    ifname: "tun9",
    addr_info: [
      { family: "inet", local: "10.77.0.2", prefixlen: 24 },
      { family: "inet6", local: "fd77::2", prefixlen: 64 },
    ],
  },
];
const ROUTES4 = [
  { dst: "0.0.0.0/1", dev: "tun9", scope: "link", flags: [] },
  { dst: "203.0.113.7", gateway: "192.0.2.1", dev: "eth1", metric: 1, flags: [] },
  { dst: "203.0.113.8", via: { family: "inet6", host: "fe80::1" }, dev: "eth1", metric: 1 },
];
const ROUTES6 = [{ dst: "::/1", dev: "tun9", metric: 1024, flags: [], pref: "medium" }];

const machine = readMachine(ADDRESSES, [ROUTES4, ROUTES6]);

// biome-ignore format: a table reads in columns
const table: [name: string, change: HostChange, shown: boolean][] = [
  ["an address",                 { kind: "address", device: "tun9", address: "10.77.0.2/24" },            true],
  ["an address of IPv6",         { kind: "address", device: "tun9", address: "fd77::2/64" },              true],
  ["of another length",          { kind: "address", device: "tun9", address: "10.77.0.2/25" },            false],
  ["on another device",          { kind: "address", device: "eth1", address: "10.77.0.2/24" },            false],
  ["a route",                    { kind: "route", device: "tun9", to: "0.0.0.0/1" },                      true],
  ["a metric the kernel gave",   { kind: "route", device: "tun9", to: "::/1" },                           true],
  ["a route that is not there",  { kind: "route", device: "tun9", to: "128.0.0.0/1" },                    false],
  ["a host route",   { kind: "route", device: "eth1", to: "203.0.113.7/32", via: "192.0.2.1", metric: 1 }, true],
  ["another metric", { kind: "route", device: "eth1", to: "203.0.113.7/32", via: "192.0.2.1", metric: 2 }, false],
  ["another hop",    { kind: "route", device: "eth1", to: "203.0.113.7/32", via: "192.0.2.2", metric: 1 }, false],
  ["a hop of IPv6",  { kind: "route", device: "eth1", to: "203.0.113.8/32", via: "inet6 fe80::1", metric: 1 }, true],
  ["what cannot be taken back",  { kind: "up", device: "tun9" },                                          false],
];
for (const [name, change, shown] of table) {
  test(`the machine ${shown ? "shows" : "does not show"}: ${name}`, () => {
    assert.deepEqual(remaining([change], machine), shown ? [change] : []);
  });
}

test("an answer of another form shows nothing and does not fail", () => {
  for (const odd of [null, {}, [null], [{}], [{ ifname: 1, addr_info: 2 }], "x"]) {
    const empty = readMachine(odd, [odd]);
    assert.deepEqual(
      remaining(
        table.map(([, change]) => change),
        empty,
      ),
      [],
    );
  }
});

const address = parsePrefix("203.0.113.7");
assert.ok(address !== null);

// biome-ignore format: a table reads in columns
const answers: [name: string, answer: unknown, path: [string, string | null] | null][] = [
  ["over a gateway",    [{ dst: "203.0.113.7", gateway: "192.0.2.1", dev: "eth0", flags: [] }], ["eth0", "192.0.2.1"]],
  ["to a neighbour",    [{ dst: "203.0.113.7", dev: "eth0", prefsrc: "203.0.113.1" }],          ["eth0", null]],
  ["to ourselves",      [{ type: "local", dst: "203.0.113.7", dev: "lo" }],                     null],
  ["by another table",  [{ dst: "203.0.113.7", gateway: "192.0.2.1", dev: "eth0", table: "101" }], null],
  ["into nothing",      [{ type: "unreachable", dst: "203.0.113.7", dev: "lo" }],               null],
  ["without an answer", [],                                                                     null],
];
for (const [name, answer, path] of answers) {
  test(`an outer path ${name}`, () => {
    const expected = path === null ? null : { address, device: path[0], via: path[1] };
    assert.deepEqual(readOuterPath(address, answer), expected);
  });
}

const TUNNEL = { dst: "0.0.0.0/1", dev: "tun9", flags: [] };
const PINNED = {
  dst: "203.0.113.7",
  gateway: "192.0.2.9",
  dev: "eth0",
  protocol: "153",
  metric: 1,
};
const first = { dst: "default", gateway: "192.0.2.1", dev: "eth0", protocol: "dhcp", metric: 100 };
const second = { dst: "default", gateway: "198.51.100.1", dev: "eth1", metric: 200, flags: [] };
// biome-ignore format: a table reads in columns
const beside: [name: string, answer: unknown, bound: string | undefined, path: [string, string | null] | null][] = [
  ["the default route of the smallest metric", [second, PINNED, TUNNEL, first], undefined, ["eth0", "192.0.2.1"]],
  ["that of its own device",                   [first, second, TUNNEL],         "eth1",    ["eth1", "198.51.100.1"]],
  ["a longer prefix before a smaller metric",  [first, { dst: "203.0.113.0/24", dev: "eth2", metric: 900 }], undefined, ["eth2", null]],
  ["not what is dead",                         [{ ...first, flags: ["dead", "linkdown"] }, second], undefined, ["eth1", "198.51.100.1"]],
  ["no route of type unreachable",             [{ ...second, type: "unreachable" }, TUNNEL], undefined, null],
  ["nothing where only portals' routes lead",  [TUNNEL, PINNED],                undefined, null],
  ["nothing without an answer",                [],                              "eth0",    null],
];
for (const [name, answer, bound, path] of beside) {
  test(`the way past the tunnel is ${name}`, () => {
    const expected = path === null ? null : { address, device: path[0], via: path[1] };
    assert.deepEqual(readWayBeside(address, answer, "tun9", bound), expected);
  });
}
