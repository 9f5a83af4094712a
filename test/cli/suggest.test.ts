/** "Did you mean" helps with typing errors and keeps silent otherwise. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editDistance, nearestWord } from "../../src/cli/configuration/suggest.ts";

// biome-ignore format: a table reads in columns
const table: [word: string, meant: string | undefined, why: string][] = [
  ["adress",   "address",   "a letter left out"],
  ["naem",     "name",      "two letters swapped"],
  ["ADDRESS",  "address",   "another case"],
  ["clientid", "client_id", "a dash left out"],
  ["x",        undefined,   "one letter says nothing"],
  ["password", undefined,   "another word"],
];
for (const [word, meant, why] of table) {
  test(`${word}: ${why}`, () => {
    assert.equal(nearestWord(word, ["name", "address", "port", "client_id"]), meant);
  });
}

test("the distance is symmetric, zero for equals, and grows by one a change at most", () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, fc.nat(8), fc.string({ minLength: 1, maxLength: 1 }), (a, b, at, c) => {
      assert.equal(editDistance(a, b), editDistance(b, a));
      assert.equal(editDistance(a, a), 0);
      assert.equal(editDistance(a, b) === 0, a === b);
      const changed = a.slice(0, at) + c + a.slice(at);
      assert.equal(editDistance(a, changed), 1);
    }),
  );
});
