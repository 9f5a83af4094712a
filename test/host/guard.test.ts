/** The rules of a guard, as text; that kernels take them and what they do is netns/guard.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Guard, guardRules, guardTable, guardTablesIn } from "../../src/host/guard.ts";

const REMOTE: Guard = {
  ...{
    name: "mpfwd0",
    protocol: 253,
    port: 5253,
    udp: true,
    tcp: true,
    role: { tag: "remote", addresses: [] },
  },
};
const LOCAL: Guard = { ...REMOTE, role: { tag: "local", remotes: ["192.0.2.7", "2001:db8::7"] } };

/** The rules of one chain, without a hook's line; empty where there is no such chain. */
function rules(guard: Guard, chain: string, tracked = true): string[] {
  const [, body = ""] =
    new RegExp(`^  chain ${chain} \\{\\n([^]*?)^  \\}`, "m").exec(guardRules(guard, tracked)) ?? [];
  return body
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => !/^(type .*)?$/.test(line));
}

// biome-ignore format: a table reads in columns
const tracking: [name: string, guard: Guard, raw: string[], ports: string[], out: string[]][] = [
  ["a Remote Portal tracks none of its outer packets", REMOTE,
    ["fib daddr type local notrack"],
    ["udp dport 5253 fib daddr type local notrack return",
     "tcp dport 5253 fib daddr type local notrack return"],
    ["meta l4proto 253 notrack return", "udp sport 5253 notrack return", "tcp sport 5253 notrack return"]],
  ["what else listens on another address stays tracked",
    { ...REMOTE, tcp: false, role: { tag: "remote", addresses: ["192.0.2.1", "192.0.2.3", "2001:db8::1"] } },
    ["ip daddr { 192.0.2.1, 192.0.2.3 } notrack", "ip6 daddr { 2001:db8::1 } notrack"],
    ["udp dport 5253 ip daddr { 192.0.2.1, 192.0.2.3 } notrack return",
     "udp dport 5253 ip6 daddr { 2001:db8::1 } notrack return"],
    ["meta l4proto 253 ip saddr { 192.0.2.1, 192.0.2.3 } notrack return",
     "meta l4proto 253 ip6 saddr { 2001:db8::1 } notrack return",
     "udp sport 5253 ip saddr { 192.0.2.1, 192.0.2.3 } notrack return",
     "udp sport 5253 ip6 saddr { 2001:db8::1 } notrack return"]],
  ["without raw links there is no protocol number", { ...REMOTE, protocol: null, tcp: false, port: 7 },
    [],
    ["udp dport 7 fib daddr type local notrack return"],
    ["udp sport 7 notrack return"]],
  ["a Local Portal tracks what comes from its remotes only", LOCAL,
    ["ip saddr != { 192.0.2.7 } fib daddr type local notrack", "ip6 saddr != { 2001:db8::7 } fib daddr type local notrack"],
    [], []],
  ["a family without remotes is not tracked at all",
    { ...LOCAL, role: { tag: "local", remotes: ["192.0.2.7", "192.0.2.8"] } },
    ["ip saddr != { 192.0.2.7, 192.0.2.8 } fib daddr type local notrack", "meta nfproto ipv6 fib daddr type local notrack"],
    [], []],
  ["a remote that is a name may move, so all is tracked", { ...LOCAL, role: { tag: "local", remotes: null } },
    [], [], []],
];
for (const [name, guard, raw, ports, out] of tracking) {
  test(name, () => {
    const fragments = rules(guard, "raw_in", false).length;
    assert.deepEqual(rules(guard, "raw_in").slice(fragments), raw);
    assert.deepEqual(rules(guard, "ports_in"), ports);
    assert.deepEqual(rules(guard, "outer_out"), out);
  });
}

test("fragments of our protocol that are for this portal are dropped, and ICMP errors in fragments", () => {
  const [v4, v6] = ["ip frag-off & 0x3fff != 0", "exthdr frag exists"];
  const at = (...addresses: string[]) =>
    rules({ ...REMOTE, role: { tag: "remote", addresses } }, "raw_in", false);
  assert.deepEqual(at(), [`${v4} fib daddr type local drop`, `${v6} fib daddr type local drop`]);
  assert.deepEqual(rules(LOCAL, "raw_in", false), at());
  assert.deepEqual(at("2001:db8::1", "192.0.2.1"), [
    `${v4} ip daddr { 192.0.2.1 } drop`,
    `${v6} ip6 daddr { 2001:db8::1 } drop`,
  ]);
  assert.equal(rules(REMOTE, "too_big4")[0], `${v4} drop`);
  assert.equal(rules(REMOTE, "too_big6")[0], `${v6} drop`);
});

for (const guard of [REMOTE, LOCAL]) {
  test(`where nothing is tracked a ${guard.role.tag} portal's table is one chain of three rules for most packets`, () => {
    const text = guardRules(guard, false);
    assert.deepEqual(text.match(/type filter hook \w+/g), ["type filter hook prerouting"]);
    assert.doesNotMatch(text, /notrack|ports_in|outer_out/);
    const dispatch = [1, 58, 253].map((protocol) => `meta l4proto ${protocol} goto`);
    const outside = rules(guard, "outside", false);
    assert.deepEqual(
      outside.map((rule) => rule.replace(/ \w+$/, "")),
      dispatch,
    );
    assert.deepEqual(rules(guard, "outside", true), outside);
  });
}

test("a quoted packet is ours by its source port at a Remote Portal, its destination port at a Local one", () => {
  const of = (guard: Guard) =>
    [...rules(guard, "too_big4"), ...rules(guard, "too_big6")].filter((rule) =>
      / 5253 /.test(rule),
    );
  assert.deepEqual(of(REMOTE), [
    "@th,136,8 17 @th,224,16 5253 drop",
    "@th,112,8 17 @th,384,16 5253 drop",
    "@th,112,8 44 @th,384,8 17 @th,448,16 5253 drop",
  ]);
  assert.deepEqual(of(LOCAL), [
    "@th,136,8 17 @th,240,16 5253 drop",
    "@th,112,8 17 @th,400,16 5253 drop",
    "@th,112,8 44 @th,384,8 17 @th,464,16 5253 drop",
  ]);
});

test("without UDP no message about UDP is dropped, and none about TCP ever", () => {
  assert.doesNotMatch(guardRules({ ...REMOTE, udp: false, tcp: false }, true), / 17 |5253/);
  assert.doesNotMatch(guardRules(REMOTE, true), /@th,\d+,8 6 /);
});

test("nothing is ever accepted against another table", () => {
  const text = guardRules(REMOTE, true).replaceAll("policy accept;", "");
  assert.doesNotMatch(text, /accept/);
  assert.match(text, /drop/);
});

test("the tables of guards are found among others", () => {
  const answer = `table inet filter
table inet mpfwd_mpfwd0
table ip mpfwd_b
table inet mpfwd_a-b_9
table inet mpfwd_
table inet mpfwd_x; delete
`;
  assert.deepEqual(guardTablesIn(answer), ["mpfwd_mpfwd0", "mpfwd_a-b_9"]);
  assert.deepEqual(guardTablesIn(`table inet ${guardTable("tun9")}\n`), ["mpfwd_tun9"]);
});
