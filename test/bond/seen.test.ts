/** Which bond sequence numbers have come: each counts once within the window, against a plain set. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Seen } from "../../src/bond/seen.ts";

const WINDOW = 2 ** 20;

test("a number counts once, whatever the order and however far apart", () => {
  const steps = fc.array(fc.oneof(fc.nat(64), fc.nat(5000), fc.nat(WINDOW - 1)), { maxLength: 80 });
  fc.assert(
    fc.property(fc.nat(2 ** 40), steps, (start, back) => {
      const seen = new Seen();
      const model = new Set<number>();
      let highest = start + WINDOW;
      seen.add(highest);
      model.add(highest);
      for (const [index, step] of back.entries()) {
        if (index % 3 === 0) highest += step;
        const order = index % 3 === 0 ? highest : highest - step;
        assert.equal(seen.add(order), !model.has(order), `${order - start}`);
        model.add(order);
      }
    }),
    { numRuns: 30 },
  );
});

test("what is a million packets back is taken for seen", () => {
  const seen = new Seen();
  assert.ok(seen.add(5 * WINDOW));
  assert.equal(seen.add(4 * WINDOW), false);
  assert.ok(seen.add(4 * WINDOW + 1));
  assert.ok(seen.add(9 * WINDOW), "a jump forgets");
  assert.ok(seen.add(9 * WINDOW - 1));
});
