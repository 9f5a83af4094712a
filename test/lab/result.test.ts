/** Figures against demands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, resultText } from "../../netns/result.ts";

test("a run passes when every demand is met", () => {
  const result = judge("e", { gain: 1.9, lost: 0, control: "cubic" }, [
    ["gain", ">=", 1.8],
    ["lost", "==", 0],
  ]);
  assert.equal(result.pass, true);
  assert.deepEqual(result.criteria[0], {
    name: "gain",
    value: 1.9,
    op: ">=",
    limit: 1.8,
    pass: true,
  });
});

const failing: [name: string, figure: number | string | null | undefined][] = [
  ["too small", 1.7],
  ["not measured", null],
  ["missing", undefined],
  ["no number", "fast"],
  ["divided by nothing", Number.NaN],
  ["endless", Number.POSITIVE_INFINITY],
];

for (const [name, figure] of failing) {
  test(`a figure that is ${name} fails its demand`, () => {
    const figures = figure === undefined ? {} : { gain: figure };
    const result = judge("e", figures, [["gain", ">=", 1.8]]);
    assert.equal(result.pass, false);
    assert.equal(result.criteria[0]?.pass, false);
    JSON.parse(JSON.stringify(result));
  });
}

test("the table names what was missed", () => {
  const text = resultText(judge("e", { gap_ms: 1_700 }, [["gap_ms", "<=", 1_500]]));
  assert.match(text, /^e: FAILED\n {2}gap_ms {2}1700 {2}<= 1500 FAILED$/);
});
