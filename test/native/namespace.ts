/**
 * Network namespaces for tests that open sockets and devices: one of the file's own, and peers beside it. All go away
 * with the processes that hold them.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type TestContext, test } from "node:test";

/** Set in the process that runs a test file inside a network namespace of its own. */
const INSIDE = "MPFWD_TEST_INSIDE";

/**
 * Defines tests that open sockets and devices: the file runs once more in a process with a network
 * namespace of its own, loopback up, which ends with the process.
 */
export function inNamespace(file: string, define: () => void): void {
  if (process.env[INSIDE] === file) {
    define();
    return;
  }
  const skip = process.getuid?.() === 0 ? false : "needs root for a network namespace";
  test("in a network namespace of its own", { skip, timeout: 300_000 }, () => {
    const command = 'ip link set lo up && exec "$0" --enable-source-maps --test-reporter=tap "$1"';
    const env: NodeJS.ProcessEnv = { ...process.env, [INSIDE]: file };
    // Otherwise the inner run would report to the outer one's test runner in its binary form.
    delete env["NODE_TEST_CONTEXT"];
    const args = ["-n", "sh", "-c", command, process.execPath, file];
    const run = spawnSync("unshare", args, { env, encoding: "utf8", maxBuffer: 1 << 26 });
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /^# pass [1-9]/m, "the inner run ran tests");
  });
}

/** How long the kernel may take to route to an address, milliseconds. */
const ROUTED_MS = 2000;

/**
 * Another network namespace, loopback up. Held by a process that ends when this one does, so that
 * nothing is left behind whatever happens; returns that process's id.
 */
export async function peerNamespace(context: TestContext): Promise<number> {
  const holder = spawn("unshare", ["-n", "sh", "-c", "ip link set lo up; echo up; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  context.after(() => holder.stdin.end());
  await once(holder.stdout, "data");
  return holder.pid as number;
}

/** A command inside the namespace of `peerNamespace`. */
export function inPeer(pid: number, ...command: string[]): string[] {
  return ["nsenter", `--net=/proc/${pid}/ns/net`, ...command];
}

/** The command `ip`; never under a sanitizer that this process was started with, which judges us and not it. */
export function ip(...args: string[]): string {
  const { LD_PRELOAD: _, ...env } = process.env;
  return execFileSync("ip", args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/**
 * Gives `device` an IPv6 address and waits until packets to it arrive: the kernel puts the local
 * route in from a worker (addrconf_dad_work), which on a busy machine comes after `ip` has returned.
 */
export function addAddress6(address: string, bits: number, device: string): void {
  ip("address", "replace", `${address}/${bits}`, "dev", device, "nodad");
  const end = Date.now() + ROUTED_MS;
  while (!ip("-6", "route", "get", address).startsWith("local ")) {
    assert.ok(Date.now() < end, `${address} has no local route`);
  }
}
