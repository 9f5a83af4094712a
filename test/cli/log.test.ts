/** A log line is one line, whatever the text. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
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

const LOG = new URL("../../src/cli/log.js", import.meta.url).href;
const WRITER = `
  import { openLog } from ${JSON.stringify(LOG)};
  const log = openLog();
  let bugs = 0;
  process.on("uncaughtException", (error) => { bugs += 1; log.error(error.message); });
  process.stdin.once("data", () => {
    log.info("nobody reads this");
    setTimeout(() => { process.stdout.write(String(bugs)); process.exit(0); }, 200);
  });
  process.stdout.write("ready");
`;

test("a log that nobody reads any more is no error, and no reason to log one", async () => {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", WRITER]);
  await once(child.stdout, "data");
  child.stderr.destroy();
  await once(child.stderr, "close");
  child.stdin.write("go");
  const [bugs] = await once(child.stdout, "data");
  assert.equal(String(bugs), "0");
  await once(child, "exit");
});
