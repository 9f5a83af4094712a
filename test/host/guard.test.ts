/** The rules of a guard, as text; that kernels take them and what they do is netns/guard.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Guard, guardRules, guardTable, guardTablesIn } from "../../src/host/guard.ts";

const REMOTE: Guard = {
  ...{ name: "mpfwd0", protocol: 253, port: 5253, udp: true, tcp: true, role: { tag: "remote" } },
};
const LOCAL: Guard = { ...REMOTE, role: { tag: "local", remotes: ["192.0.2.7", "2001:db8::7"] } };

/** The rules of one chain, without its head. */
function rules(guard: Guard, chain: string): string[] {
  const [, body = ""] = new RegExp(
    `chain ${chain} \\{\\n.*\\n([^}]*(\\{[^}]*\\}[^}]*)*)\\n  \\}`,
  ).exec(guardRules(guard)) ?? [null];
  return body === null || body === "" ? [] : body.split("\n").map((line) => line.trim());
}

// biome-ignore format: a table reads in columns
const tracking: [name: string, guard: Guard, into: string[], out: string[]][] = [
  ["a Remote Portal tracks none of its outer packets", REMOTE,
    ["meta l4proto 253 fib daddr type local notrack",
     "udp dport 5253 fib daddr type local notrack",
     "tcp dport 5253 fib daddr type local notrack"],
    ["meta l4proto 253 notrack", "udp sport 5253 notrack", "tcp sport 5253 notrack"]],
  ["without raw links there is no protocol number", { ...REMOTE, protocol: null, tcp: false, port: 7 },
    ["udp dport 7 fib daddr type local notrack"],
    ["udp sport 7 notrack"]],
  ["a Local Portal tracks what comes from its remotes only", LOCAL,
    ["meta l4proto 253 ip saddr != { 192.0.2.7 } fib daddr type local notrack",
     "meta l4proto 253 ip6 saddr != { 2001:db8::7 } fib daddr type local notrack"],
    []],
  ["a family without remotes is not tracked at all",
    { ...LOCAL, role: { tag: "local", remotes: ["192.0.2.7", "192.0.2.8"] } },
    ["meta l4proto 253 ip saddr != { 192.0.2.7, 192.0.2.8 } fib daddr type local notrack",
     "meta l4proto 253 meta nfproto ipv6 fib daddr type local notrack"],
    []],
  ["a remote that is a name may move, so all is tracked", { ...LOCAL, role: { tag: "local", remotes: null } },
    [], []],
];
for (const [name, guard, into, out] of tracking) {
  test(name, () => {
    assert.deepEqual(rules(guard, "untracked_in"), into);
    assert.deepEqual(rules(guard, "untracked_out"), out);
  });
}

test("a quoted packet is ours by its source port at a Remote Portal, its destination port at a Local one", () => {
  const of = (guard: Guard) => rules(guard, "too_big").filter((rule) => rule.includes(" 5253 "));
  assert.deepEqual(of(REMOTE), [
    "icmp type destination-unreachable icmp code frag-needed @th,136,8 17 @th,224,16 5253 drop",
    "icmpv6 type packet-too-big @th,112,8 17 @th,384,16 5253 drop",
    "icmpv6 type packet-too-big @th,112,8 44 @th,384,8 17 @th,448,16 5253 drop",
  ]);
  assert.deepEqual(of(LOCAL), [
    "icmp type destination-unreachable icmp code frag-needed @th,136,8 17 @th,240,16 5253 drop",
    "icmpv6 type packet-too-big @th,112,8 17 @th,400,16 5253 drop",
    "icmpv6 type packet-too-big @th,112,8 44 @th,384,8 17 @th,464,16 5253 drop",
  ]);
});

test("without UDP no message about UDP is dropped, and none about TCP ever", () => {
  const dropped = rules({ ...REMOTE, udp: false }, "too_big");
  assert.ok(
    dropped.length > 0 && dropped.every((rule) => rule.includes("253")),
    dropped.join("\n"),
  );
  assert.doesNotMatch(guardRules(REMOTE), /@th,\d+,8 6 /);
});

test("nothing is ever accepted against another table", () => {
  const verdicts = guardRules(REMOTE).matchAll(/^ {4}(?!type).* (\w+)$/gm);
  assert.deepEqual([...new Set([...verdicts].map(([, verdict]) => verdict))], ["drop", "notrack"]);
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
