/** What a portal changes on the machine, as the commands that do and undo it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Prefix, parsePrefix } from "../../src/core/prefix.ts";
import { applyCommand, undoCommand } from "../../src/host/change.ts";
import { type HostWish, type OuterPath, planHost } from "../../src/host/plan.ts";

const prefixes = (...texts: string[]): Prefix[] =>
  texts.map((text) => {
    const prefix = parsePrefix(text);
    assert.ok(prefix !== null, text);
    return prefix;
  });

const via = (address: string, device: string, next: string | null): OuterPath => ({
  address: prefixes(address)[0] as Prefix,
  device,
  via: next,
});

const WISH: HostWish = {
  ...{ device: "tun9", mtu: 1400, ipv6: true, routes: [], outer: [] },
  addresses: prefixes("10.77.0.2/24"),
};

const commands = (wish: Partial<HostWish>) =>
  planHost({ ...WISH, ...wish }).map((change) => applyCommand(change).join(" "));

test("a device gets MTU and addresses before it comes up, and routes after", () => {
  const wish = {
    addresses: prefixes("10.77.0.2/24", "fd77::2/64"),
    routes: prefixes("10.0.0.0/8"),
  };
  assert.deepEqual(commands(wish), [
    "link set dev tun9 mtu 1400 addrgenmode none",
    "address add 10.77.0.2/24 dev tun9",
    "address add fd77::2/64 dev tun9",
    "link set dev tun9 up",
    "route add 10.0.0.0/8 dev tun9 proto 153",
  ]);
});

test("a kernel without IPv6 is not asked about link-local addresses", () => {
  assert.equal(commands({ ipv6: false })[0], "link set dev tun9 mtu 1400");
});

test("a device too small for IPv6 is not asked about them either", () => {
  assert.equal(commands({ mtu: 1279 })[0], "link set dev tun9 mtu 1279");
  assert.equal(commands({ mtu: 1280 })[0], "link set dev tun9 mtu 1280 addrgenmode none");
});

const WITHOUT_ROUTES = commands({}).length;

// biome-ignore format: a table reads in columns
const routes: [name: string, wanted: string[], made: string[]][] = [
  ["a default route becomes two halves",                 ["0.0.0.0/0"],     ["0.0.0.0/1", "128.0.0.0/1"]],
  ["so does one of IPv6",                                ["::/0"],          ["::/1", "8000::/1"]],
  ["what lies in the device's own network has its route", ["10.77.0.0/24", "10.77.0.9/32"], []],
  ["what contains that network needs one",               ["10.77.0.0/16"],  ["10.77.0.0/16"]],
  ["what is named twice is made once",                   ["10.0.0.0/8", "10.0.0.0/8"], ["10.0.0.0/8"]],
];
for (const [name, wanted, made] of routes) {
  test(name, () => {
    const got = commands({ routes: prefixes(...wanted) }).slice(WITHOUT_ROUTES);
    assert.deepEqual(
      got,
      made.map((to) => `route add ${to} dev tun9 proto 153`),
    );
  });
}

const R = "203.0.113.7";
// biome-ignore format: a table reads in columns
const outer: [name: string, routes: string[], outer: OuterPath[], made: string[]][] = [
  ["a remote address that no route covers is left alone",
    ["10.0.0.0/8"], [via(R, "eth1", "192.0.2.1")], []],
  ["a covered one keeps its next hop",
    ["0.0.0.0/0"], [via(R, "eth1", "192.0.2.1")],
    ["203.0.113.7/32 via 192.0.2.1 dev eth1 metric 1"]],
  ["a neighbour needs no next hop",
    ["203.0.0.0/8"], [via(R, "eth1", null)], ["203.0.113.7/32 dev eth1 metric 1"]],
  ["two devices to one address get a metric each",
    ["0.0.0.0/0"], [via(R, "eth1", "192.0.2.1"), via(R, "eth2", "198.51.100.1")],
    ["203.0.113.7/32 via 192.0.2.1 dev eth1 metric 1",
     "203.0.113.7/32 via 198.51.100.1 dev eth2 metric 2"]],
  ["two links on one way share a route",
    ["0.0.0.0/0"], [via(R, "eth1", "192.0.2.1"), via(R, "eth1", "192.0.2.1")],
    ["203.0.113.7/32 via 192.0.2.1 dev eth1 metric 1"]],
  ["an IPv6 address over a link-local next hop",
    ["::/0"], [via("2001:db8::7", "eth1", "fe80::1")],
    ["2001:db8::7/128 via fe80::1 dev eth1 metric 1"]],
  ["the family of the route decides",
    ["::/0"], [via(R, "eth1", "192.0.2.1")], []],
];
for (const [name, wanted, paths, made] of outer) {
  test(`outer packets: ${name}`, () => {
    const all = commands({ routes: prefixes(...wanted), outer: paths });
    const before = all.slice(
      0,
      all.findIndex((command) => command.startsWith("link")),
    );
    assert.deepEqual(
      before,
      made.map((route) => `route add ${route} proto 153`),
    );
  });
}

test("what is undone is what was done; what leaves with the device needs no undoing", () => {
  const plan = planHost({
    ...WISH,
    routes: prefixes("0.0.0.0/0"),
    outer: [via(R, "eth1", "192.0.2.1")],
  });
  for (const change of plan) {
    const undo = undoCommand(change)?.join(" ");
    const done = applyCommand(change).join(" ");
    const takenBack = change.kind === "address" || change.kind === "route";
    assert.equal(undo, takenBack ? done.replace(" add ", " delete ") : undefined);
  }
});
