/** Middlebox rules of the lab: what is understood, how the rest is refused, and the nftables text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { middleboxRules, NO_MIDDLEBOX, parseMiddlebox } from "../../netns/topology/middlebox.ts";

test("a rule without direction is for both, and every rule is understood", () => {
  const both = ["up", "down"];
  assert.deepEqual(parseMiddlebox("drop=raw,reject_up=udp,drop_down=47"), [
    { act: "drop", traffic: "raw", directions: both },
    { act: "reject", traffic: "udp", directions: ["up"] },
    { act: "drop", traffic: 47, directions: ["down"] },
  ]);
  assert.deepEqual(parseMiddlebox("police=raw@1mbit,mangle=raw,longer_up=tcp@1200,only=443"), [
    { act: "police", traffic: "raw", rate: 1e6, directions: both },
    { act: "mangle", traffic: "raw", directions: both },
    { act: "longer", traffic: "tcp", octets: 1200, directions: ["up"] },
    { act: "only", port: 443, directions: both },
  ]);
  assert.deepEqual(parseMiddlebox("none"), NO_MIDDLEBOX);
});

for (const text of [
  "",
  "drop",
  "drop=ip",
  "drop=256",
  "drop_sideways=raw",
  "mangle=udp",
  "police=raw",
  "police=raw@fast",
  "drop=raw@1200",
  "longer=raw@70000",
  "only=tcp",
  "block=raw",
]) {
  test(`middlebox rule "${text}" is refused`, () =>
    assert.throws(() => parseMiddlebox(text), /is not understood; such as drop_down=raw/));
}

/** The lines inside the forward chain. */
function forward(text: string): string[] {
  const [, chain = ""] =
    /priority filter\n(.*?) {2}\}/s.exec(middleboxRules(parseMiddlebox(text))) ?? [];
  return chain.split("\n").flatMap((line) => (line === "" ? [] : [line.trim()]));
}

test("a rule looks at the device that packets leave by", () => {
  assert.deepEqual(forward("drop=raw"), [
    'oifname "rp" meta l4proto 253 drop',
    'oifname { "lp", "lp2" } meta l4proto 253 drop',
  ]);
  assert.deepEqual(forward("drop_up=icmp"), ['oifname "rp" meta l4proto { icmp, ipv6-icmp } drop']);
});

test("rates are octets, sizes are those of whole packets, mangling turns every bit", () => {
  assert.deepEqual(forward("police_up=raw@1mbit,longer_up=udp@1200,mangle_up=raw"), [
    'oifname "rp" meta l4proto 253 limit rate over 125000 bytes/second burst 15000 bytes drop',
    'oifname "rp" meta l4proto udp meta length > 1200 drop',
    'oifname "rp" meta l4proto 253 @th,96,16 set @th,96,16 ^ 0xffff',
  ]);
});

test("one TCP port is the destination on the way up and the source on the way down", () => {
  assert.deepEqual(forward("only=443"), [
    'oifname "rp" meta l4proto != tcp drop',
    'oifname "rp" tcp dport != 443 drop',
    'oifname { "lp", "lp2" } meta l4proto != tcp drop',
    'oifname { "lp", "lp2" } tcp sport != 443 drop',
  ]);
});

test("the box before goes in the same transaction, and a provider without ICMP sends none itself", () => {
  assert.match(
    middleboxRules(NO_MIDDLEBOX),
    /^table inet middlebox \{\n\}\ndelete table inet middlebox\n/,
  );
  assert.match(middleboxRules(parseMiddlebox("drop=icmp")), /icmp type \{ destination-unreachable/);
  assert.doesNotMatch(middleboxRules(parseMiddlebox("drop=raw")), /destination-unreachable/);
});
