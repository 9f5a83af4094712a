/** Commands of `ip` as lines of a batch, which is a small language of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { batchOf, runIp, runIpForced } from "../../src/host/ip.ts";

const route = (device: string) => ["route", "add", "192.0.2.1", "dev", device, "proto", "153"];

test("each command is a line", () => {
  const { lines, unsaid } = batchOf([route("eth0.7"), ["link", "set", "dev", "tun9", "up"]]);
  assert.equal(lines, "route add 192.0.2.1 dev eth0.7 proto 153\nlink set dev tun9 up\n");
  assert.equal(unsaid, "");
});

// The kernel allows all of these but the last two. `dev eth#0 proto 153` would be a route without its mark.
for (const name of ["eth#0", "#", 'a"b', "'a'", "a\\", "a b", ""]) {
  test(`a device called ${JSON.stringify(name)} leaves its command out and is named`, () => {
    const { lines, unsaid } = batchOf([route(name), route("eth1")]);
    assert.equal(lines, "route add 192.0.2.1 dev eth1 proto 153\n");
    assert.ok(unsaid.includes(`cannot take the name ${JSON.stringify(name)}; rename the device`));
  });
}

test("changes that depend on each other are not begun with one that cannot be said", async () => {
  const wish = runIp([["link", "set", "dev", "lo", "up"], route("eth#0")]);
  await assert.rejects(wish, { code: "ERR_HOST", message: /"eth#0"; rename the device/ });
});

test("what is undone goes on without it", async () => {
  assert.match(await runIpForced([route("eth#0")]), /"eth#0"; rename the device/);
  assert.equal(await runIpForced([]), "");
});
