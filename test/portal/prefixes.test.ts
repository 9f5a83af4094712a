/** Which client owns an inner address: the longest prefix, against a naive search. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Prefix } from "../../src/portal/config.ts";
import { PrefixTable } from "../../src/portal/prefixes.ts";

function prefix(family: 4 | 6, octets: readonly number[], bits: number): Prefix {
  return { family, address: Uint8Array.from(octets), bits, text: `${octets}/${bits}` };
}

function lookup(table: PrefixTable, octets: readonly number[]): number {
  const view = new DataView(Uint8Array.from(octets).buffer);
  return table.lookup(view, 0, octets.length === 4 ? 4 : 6);
}

test("the longest prefix decides", () => {
  const table = new PrefixTable([
    [prefix(4, [10, 0, 0, 0], 8)],
    [prefix(4, [10, 1, 0, 0], 16), prefix(4, [10, 1, 2, 3], 32)],
  ]);
  assert.equal(lookup(table, [10, 9, 9, 9]), 0);
  assert.equal(lookup(table, [10, 1, 9, 9]), 1);
  assert.equal(lookup(table, [10, 1, 2, 3]), 1);
  assert.equal(lookup(table, [11, 0, 0, 0]), -1);
});

test("a default route owns everything of its family only", () => {
  const table = new PrefixTable([[prefix(4, [0, 0, 0, 0], 0)]]);
  assert.equal(lookup(table, [203, 0, 113, 9]), 0);
  assert.equal(lookup(table, new Array(16).fill(1)), -1);
});

/** Bit by bit, as slowly as can be. */
function naive(owners: readonly (readonly Prefix[])[], octets: readonly number[]): number {
  let best = { bits: -1, owner: -1 };
  for (const [owner, prefixes] of owners.entries()) {
    for (const { address, bits } of prefixes) {
      if (address.length !== octets.length || bits <= best.bits) continue;
      const differs = (bit: number) =>
        (((address[bit >> 3] as number) ^ (octets[bit >> 3] as number)) >> (7 - (bit & 7))) & 1;
      if (Array.from({ length: bits }, (_, bit) => differs(bit)).every((bit) => bit === 0)) {
        best = { bits, owner };
      }
    }
  }
  return best.owner;
}

for (const [family, size] of [
  [4, 4],
  [6, 16],
] as const) {
  test(`IPv${family} look-ups agree with a naive search`, () => {
    // Few distinct octets, so that addresses share prefixes often.
    const octets = fc.array(fc.constantFrom(0, 1, 128, 255), { minLength: size, maxLength: size });
    const entry = fc.tuple(octets, fc.nat(size * 8)).map(([a, bits]) => prefix(family, a, bits));
    const property = fc.property(
      fc.uniqueArray(entry, { selector: masked, maxLength: 12 }),
      octets,
      (prefixes, address) => {
        const owners = prefixes.map((one) => [one]);
        assert.equal(lookup(new PrefixTable(owners), address), naive(owners, address));
      },
    );
    fc.assert(property);
  });
}

/** What the prefix covers, as text: two owners never have the same one. */
function masked({ address, bits }: Prefix): string {
  const all = [...address].map((octet) => octet.toString(2).padStart(8, "0")).join("");
  return all.slice(0, bits);
}
