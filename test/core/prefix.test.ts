/** Prefixes: what is an address and what is not, and which lies in which. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  addressAt,
  addressText,
  contains,
  networkOf,
  overlaps,
  type Prefix,
  parseAddress,
  parsePrefix,
} from "../../src/core/prefix.ts";

const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text);
  assert.ok(parsed !== null, text);
  return parsed;
};

// biome-ignore format: a table reads in columns
const accepted: [written: string, canonical: string][] = [
  ["10.77.0.1/24",       "10.77.0.1/24"],
  ["0.0.0.0/0",          "0.0.0.0/0"],
  ["192.0.2.1",          "192.0.2.1/32"],
  ["2001:DB8:0:0::1/64", "2001:db8::1/64"],
  ["::/0",               "::/0"],
  ["::1",                "::1/128"],
  ["::",                 "::/128"],
];
for (const [written, canonical] of accepted) {
  test(`a prefix is read from ${written}`, () => assert.equal(prefix(written).text, canonical));
}

const refused = [
  ..."10.1 010.0.0.1 10.0.0.1/33 10.0.0.1/ 10.0.0.1/8/8 1.2.3.4.5 256.0.0.1 10.0.0.1/08".split(" "),
  ..."::1/129 ::1/064 1::2::3 [::1] fe80::1%eth0 ::g ::1/ host 0x7f.1".split(" "),
  "",
  " 10.0.0.1",
  "10.0.0.1\n",
];
for (const written of refused) {
  test(`no prefix is read from ${JSON.stringify(written)}`, () =>
    assert.equal(parsePrefix(written), null));
}

test("an address has no length", () => {
  assert.equal(parseAddress("10.0.0.1/24"), null);
  assert.equal(parseAddress("10.0.0.1")?.bits, 32);
});

// biome-ignore format: a table reads in columns
const containment: [outer: string, inner: string, yes: boolean][] = [
  ["10.0.0.0/8",  "10.1.0.0/16",  true],
  ["10.0.0.0/8",  "10.0.0.0/8",   true],
  ["10.1.0.0/16", "10.0.0.0/8",   false],
  ["10.0.0.0/9",  "10.128.0.0/9", false],
  ["0.0.0.0/0",   "192.0.2.1/32", true],
  ["0.0.0.0/0",   "::1/128",      false],
  ["fd00::/8",    "fd12::/64",    true],
  ["::/1",        "8000::/1",     false],
];
for (const [outer, inner, yes] of containment) {
  test(`${outer} ${yes ? "contains" : "does not contain"} ${inner}`, () =>
    assert.equal(contains(prefix(outer), prefix(inner)), yes));
}

const anyPrefix = fc.oneof(
  fc.tuple(fc.ipV4(), fc.nat(32)).map(([address, bits]) => prefix(`${address}/${bits}`)),
  fc.tuple(fc.ipV6(), fc.nat(128)).map(([address, bits]) => prefix(`${address}/${bits}`)),
);

test("the canonical text reads back as the same prefix", () => {
  fc.assert(fc.property(anyPrefix, (one) => assert.deepEqual(parsePrefix(one.text), one)));
});

test("a network contains exactly what has its leading bits", () => {
  const naive = (one: Prefix) =>
    [...one.address].map((octet) => octet.toString(2).padStart(8, "0")).join("");
  fc.assert(
    fc.property(anyPrefix, anyPrefix, (a, b) => {
      const leading = naive(a).slice(0, a.bits) === naive(b).slice(0, a.bits);
      assert.equal(contains(a, b), a.family === b.family && b.bits >= a.bits && leading);
      assert.equal(overlaps(a, b), overlaps(b, a));
      assert.ok(contains(networkOf(a), a) && contains(a, networkOf(a)));
    }),
  );
});

test("addresses of a network are counted from its first and end with it", () => {
  const own = prefix("10.77.0.200/23");
  const texts = [0, 1, 256, 511].map((offset) => addressAt(own, offset)?.text);
  assert.deepEqual(texts, ["10.77.0.0/32", "10.77.0.1/32", "10.77.1.0/32", "10.77.1.255/32"]);
  assert.equal(addressAt(own, 512), null);
  assert.equal(addressAt(prefix("255.255.255.255/32"), 1), null);
  assert.equal(addressAt(prefix("fd00::/64"), 65_536)?.text, "fd00::1:0/128");
  assert.equal(addressText(own), "10.77.0.200");
});
