/** A log line is one line, whatever the text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openLog } from "../../src/cli/log.ts";

function lines(journal: boolean, say: (log: ReturnType<typeof openLog>) => void): string[] {
  const written: string[] = [];
  const now = () => new Date(Date.UTC(2026, 0, 2, 3, 4, 5));
  say(openLog((line) => written.push(line), journal, now));
  return written;
}

test("a line has time, level and text", () => {
  const written = lines(false, (log) => {
    log.info("a");
    log.warn("b");
    log.error("c");
  });
  assert.deepEqual(written, [
    "2026-01-02T03:04:05.000Z info  a\n",
    "2026-01-02T03:04:05.000Z warn  b\n",
    "2026-01-02T03:04:05.000Z error c\n",
  ]);
});

test("the journal gets the level in its own form and no time", () => {
  assert.deepEqual(
    lines(true, (log) => {
      log.info("a");
      log.warn("b");
      log.error("c");
    }),
    ["<6>a\n", "<4>b\n", "<3>c\n"],
  );
});

test("a text cannot forge a line or drive the terminal", () => {
  const [line] = lines(true, (log) => log.info("a\n  <0>b\r\u001b[2J\u0000c\u009bd"));
  assert.equal(line, "<6>a; <0>b??[2J?c?d\n");
});
