/** Every key path of a document is found where it is written, however it is written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import { type KeyPath, locate, type Span } from "../../src/cli/configuration/locate.ts";

/** Every path of a parsed document that leads to something else than a table or list. */
function leaves(value: unknown, path: KeyPath = []): { path: KeyPath; value: unknown }[] {
  if (Array.isArray(value)) return value.flatMap((item, at) => leaves(item, [...path, at]));
  if (typeof value !== "object" || value === null || value instanceof Date)
    return [{ path, value }];
  return Object.entries(value).flatMap(([name, item]) => leaves(item, [...path, name]));
}

const key = fc.constantFrom("a", "b", "c-1", "d_2", '"e f"', "'g.h'", '"i\\u0041"', "3", '""');
const gap = fc.constantFrom("", " ", "\t", "  ");
const dotted = fc
  .array(fc.tuple(key, gap, gap), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.map(([name, before, after]) => before + name + after).join("."));

/** Values with everything that could mislead a scanner: brackets, hashes, quotes inside strings. */
const scalar = fc.constantFrom(
  ...["1", "-7_000", "0x1f", "1.5e3", "inf", "true", "false", "1979-05-27", "07:32:00"],
  ...["1979-05-27 07:32:00Z", '"x"', '""', "''", '"a # b"', "'] }'", '"quote \\" end"', '"\\\\"'],
  ...['"""many\n# lines\n"""', "'''raw ''quotes'' \n[x]'''", '""""five"""""', '"""\\\n  x"""'],
);
const lineEnd = fc.constantFrom("\n", " \n", "\r\n", " # a = [1\n", "\n\n# [x]\n");
const loose = fc.constantFrom("", " ", "\n", "\n  # ] comment\n");

const { value } = fc.letrec<{ value: string; list: string; table: string }>((tie) => ({
  value: fc.oneof({ maxDepth: 3, withCrossShrink: true }, scalar, tie("list"), tie("table")),
  list: fc
    .tuple(fc.array(fc.tuple(loose, tie("value"), loose), { maxLength: 3 }), fc.boolean())
    .map(([items, comma]) => {
      const inside = items.map((item) => item.join("")).join(",");
      return `[${inside}${comma && items.length > 0 ? "," : ""}]`;
    }),
  table: fc
    .uniqueArray(fc.tuple(key, gap, tie("value")), { maxLength: 3, selector: ([name]) => name })
    .map(
      (pairs) => `{${pairs.map(([name, blank, item]) => `${name}${blank}=${item}`).join(", ")}}`,
    ),
}));

const pair = fc
  .tuple(gap, dotted, gap, value, lineEnd)
  .map(([indent, name, blank, item, end]) => `${indent}${name}=${blank}${item}${end}`);
const header = fc
  .tuple(gap, dotted, fc.boolean(), lineEnd)
  .map(
    ([indent, name, many, end]) => `${indent}${many ? "[[" : "["}${name}${many ? "]]" : "]"}${end}`,
  );
const document = fc
  .array(fc.oneof(pair, pair, header), { maxLength: 8 })
  .map((lines) => lines.join(""));

function parsed(text: string): Record<string, unknown> | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

test("the text at a place is the value that the parser read", () => {
  let found = 0;
  const property = fc.property(document, (text) => {
    const tree = parsed(text);
    fc.pre(tree !== null);
    const location = locate(text);
    const slice = (span: Span) => text.slice(span.from, span.to);
    for (const leaf of leaves(tree)) {
      const place = location.exact(leaf.path);
      assert.ok(place !== undefined, `no place for ${JSON.stringify(leaf.path)}`);
      assert.deepEqual(parse(`x = ${slice(place.value)}`)["x"], leaf.value);
      const name = leaf.path.at(-1);
      if (typeof name === "string") {
        assert.deepEqual(Object.keys(parse(`${slice(place.key)} = 1`)), [name]);
      }
      found += 1;
    }
  });
  fc.assert(property, { numRuns: 2000, maxSkipsPerRun: 1000 });
  assert.ok(found > 2000, `only ${found} values were looked at`);
});

const SAMPLE = `title = "x" # comment

[[link]]
name = "dsl"

[[link]]
name = 'lte'
limits = { rate = 5, list = [
  1, # one
  2,
] }

[[link.extra]]
deep.er = true
`;

// biome-ignore format: a table reads in columns
const places: [path: KeyPath, key: string, value: string][] = [
  [["title"],                              "title",          '"x"'],
  [["link", 0],                            "[[link]]",       "[[link]]"],
  [["link", 1, "name"],                    "name",           "'lte'"],
  [["link", 1, "limits", "rate"],          "rate",           "5"],
  [["link", 1, "limits", "list", 1],       "2",              "2"],
  [["link", 1, "extra", 0],                "[[link.extra]]", "[[link.extra]]"],
  [["link", 1, "extra", 0, "deep", "er"],  "er",             "true"],
];
for (const [path, keyText, valueText] of places) {
  test(`finds ${path.join(".")}`, () => {
    const place = locate(SAMPLE).exact(path);
    assert.ok(place !== undefined);
    assert.equal(SAMPLE.slice(place.key.from, place.key.to), keyText);
    assert.equal(SAMPLE.slice(place.value.from, place.value.to), valueText);
  });
}

test("what is not written is placed at the table it is missing from", () => {
  const location = locate(SAMPLE);
  const second = SAMPLE.indexOf("[[link]]", SAMPLE.indexOf("[[link]]") + 1);
  assert.equal(location.exact(["link", 1, "device"]), undefined);
  assert.equal(location.nearest(["link", 1, "device"]).key.from, second);
  assert.equal(location.nearest(["role"]).key.from, 0);
});
