/** Keys in a configuration file: an exposed one is a fault, and none is ever shown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { faultText } from "../../src/cli/configuration/fault.ts";
import { faultsOf, KEY, LOCAL, QUIET, REMOTE } from "./configuration-texts.ts";

test("an exposed file is a fault for every key in it", () => {
  const exposed = { what: "open to others", expected: "chmod 600 f" };
  const faults = faultsOf(REMOTE, { ...QUIET, exposed });
  assert.deepEqual(
    faults.map(({ line, what, expected }) => [line, what, expected]),
    [
      [7, exposed.what, exposed.expected],
      [12, exposed.what, exposed.expected],
    ],
  );
});

test("a key never appears in what is said about a file that carries it", () => {
  const lines = LOCAL.split("\n");
  const edit = fc.tuple(fc.nat(lines.length), fc.string({ maxLength: 6 }), fc.nat(60));
  const spoil = (text: string, [line, extra, at]: [number, string, number]) => {
    const rows = text.split("\n");
    const row = rows[line] ?? "";
    // The key itself stays whole: a cut key is no key.
    const place = row.includes(KEY) ? Math.min(at, row.indexOf(KEY)) : at;
    rows[line] = row.slice(0, place) + extra + row.slice(place);
    return rows.join("\n");
  };
  let faulty = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      const faults = faultsOf(edits.reduce(spoil, LOCAL));
      faulty += faults.length;
      for (const fault of faults) assert.ok(!faultText("f", fault).includes(KEY.slice(0, 40)));
    }),
    { numRuns: 1000 },
  );
  assert.ok(faulty > 500, `only ${faulty} faults were seen`);
});

const misplaced = [
  LOCAL.replace("key =", "kye ="),
  LOCAL.replace('"dsl"', `"${KEY}"`),
  LOCAL.replace("key =", "key ").replace("client_id", "client id"),
  LOCAL.replace(`"${KEY}"`, `"${KEY.slice(0, 20)}`),
  LOCAL.replace("0011223344556677", KEY),
  LOCAL.replace("203.0.113.7", KEY),
];
for (const [number, text] of misplaced.entries()) {
  test(`a key in the wrong place is covered (${number + 1})`, () => {
    const shown = faultsOf(text).map((fault) => faultText("f", fault));
    assert.ok(shown.length > 0);
    assert.ok(!shown.join("\n").includes(KEY.slice(0, 12)), shown.join("\n"));
  });
}
