/** A missing capability is named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { batchFailure } from "../../src/host/ip.ts";
import { missingCapabilities } from "../../src/host/privilege.ts";

const status = (effective: string) =>
  `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${effective}\n`;

// biome-ignore format: a table reads in columns
const table: [effective: string, missing: string[]][] = [
  ["000001ffffffffff", []],
  ["0000000000003000", []],
  ["0000000000001000", ["CAP_NET_RAW"]],
  ["0000000000002000", ["CAP_NET_ADMIN"]],
  ["0000000000000000", ["CAP_NET_ADMIN", "CAP_NET_RAW"]],
];
for (const [effective, missing] of table) {
  test(`with ${effective}, ${missing.join(" and ") || "nothing"} is missing`, () => {
    assert.deepEqual(
      missingCapabilities(status(effective), ["CAP_NET_ADMIN", "CAP_NET_RAW"]),
      missing,
    );
  });
}

test("a capability that is not needed is not missed", () => {
  assert.deepEqual(missingCapabilities(status("0000000000001000"), ["CAP_NET_ADMIN"]), []);
});

test("a status without capabilities has none", () => {
  assert.deepEqual(missingCapabilities("", ["CAP_NET_RAW"]), ["CAP_NET_RAW"]);
});

test("a failed batch names the command and the kernel's reason", () => {
  const commands = [
    ["link", "set", "dev", "a", "up"],
    ["route", "add", "10.0.0.0/8", "dev", "a"],
  ];
  const complaint = "RTNETLINK answers: File exists\nCommand failed -:2";
  assert.equal(
    batchFailure(commands, complaint),
    "ip route add 10.0.0.0/8 dev a: RTNETLINK answers: File exists; the machine has such a route: " +
      "remove it, or the one in the file",
  );
  assert.equal(batchFailure(commands, "killed"), "ip: killed");
});
