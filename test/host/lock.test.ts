/** One holder at a time, known by pid; a file left by a killed holder is no holder. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { MpfwdError } from "../../src/core/errors.ts";
import { abstractName, lockedNames, takeLock } from "../../src/host/lock.ts";

const directory = mkdtempSync(join(tmpdir(), "mpfwd-test-"));
after(() => rmSync(directory, { recursive: true }));

const name = `t${process.pid}`;
const addresses = [abstractName(name), join(directory, "lock.sock")];

for (const address of addresses) {
  const kind = address.startsWith("\0") ? "an abstract name" : "a path";
  test(`${kind} has one holder, who can let go`, async () => {
    const first = await takeLock(address, "it");
    const inUse = (error: unknown) =>
      error instanceof MpfwdError &&
      error.code === "ERR_IN_USE" &&
      error.message === `it is in use by a running portal, pid ${process.pid}`;
    await assert.rejects(takeLock(address, "it"), inUse);
    await assert.rejects(takeLock(address, "it"), inUse);
    await first.release();
    await (await takeLock(address, "it")).release();
  });
}

test("a killed holder holds nothing", async () => {
  const path = join(directory, "killed.sock");
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("on"))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.ok(existsSync(path), "the file outlives its process, or this test shows nothing");
  await (await takeLock(path, "it")).release();
});

test("running instances are listed by name", async () => {
  const held = await takeLock(abstractName(name), "it");
  assert.ok(lockedNames().includes(name));
  await held.release();
  assert.ok(!lockedNames().includes(name));
});

test("a path too long for a socket is refused with its reason", async () => {
  await assert.rejects(takeLock(`/tmp/${"x".repeat(110)}`, "it"), /too long for a socket/);
});
