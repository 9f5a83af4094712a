/** The short form of the fuzz; `fuzz.ts` says how to run the long one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzCoalesce, fuzzOpen, fuzzSegment } from "./fuzz.ts";
import { inNamespace } from "./namespace.ts";

const SEED = 20260801;

inNamespace(import.meta.filename, () => {
  for (const [name, run, packets] of [
    ["cutting", fuzzSegment, 50_000],
    ["joining", fuzzCoalesce, 50_000],
    ["opening", fuzzOpen, 100_000],
  ] as const) {
    test(`${name} stands ${packets} mutated packets`, () => {
      const report = run(packets, SEED);
      assert.ok(report.packets >= packets);
      assert.ok(
        report.understood > packets / 20,
        `only ${report.understood} got beyond the first check`,
      );
    });
  }
});
