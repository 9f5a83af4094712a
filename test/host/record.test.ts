/** The record of changes survives a killed writer, and damage to it is noticed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { HostChange } from "../../src/host/change.ts";
import { readRecord, removeRecord, writeRecord } from "../../src/host/record.ts";

const directory = mkdtempSync(join(tmpdir(), "mpfwd-test-"));
const path = join(directory, "changes.json");
after(() => rmSync(directory, { recursive: true }));

const CHANGES: HostChange[] = [
  { kind: "route", device: "eth0.7", to: "203.0.113.7/32", via: "192.0.2.1", metric: 1 },
  { kind: "route", device: "eth1", to: "2001:db8::7/128", via: "fe80::1", metric: 2 },
  { kind: "link", device: "mpfwd0", mtu: 1400, ipv6: true },
  { kind: "address", device: "mpfwd0", address: "10.77.0.2/24" },
  { kind: "up", device: "mpfwd0" },
  { kind: "route", device: "mpfwd0", to: "0.0.0.0/1" },
];

test("what is written is read, by its owner only", () => {
  writeRecord(path, CHANGES);
  assert.deepEqual(readRecord(path), CHANGES);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("a record half written beside it does not count", () => {
  writeRecord(path, CHANGES);
  writeFileSync(`${path}.next`, '{"schema":1,"cha');
  assert.deepEqual(readRecord(path), CHANGES);
});

test("no record means no changes", () => {
  removeRecord(path);
  removeRecord(path);
  assert.deepEqual(readRecord(path), []);
});

const route = { kind: "route", device: "eth0", to: "203.0.113.7/32" };
const damaged: [name: string, text: string][] = [
  ["cut off", '{"schema":1,"changes":[{"ki'],
  ["of another schema", '{"schema":2,"changes":[]}'],
  ["with an unknown change", '{"schema":1,"changes":[{"kind":"rule"}]}'],
  ...[
    { ...route, device: "eth0 table 5" },
    { ...route, device: "-force" },
    { ...route, to: "203.0.113.7/32\naddress flush dev eth0" },
    { ...route, via: "192.0.2.1 dev lo" },
    { ...route, metric: "1" },
  ].map((change): [string, string] => [
    `that would say more to ip than one change (${JSON.stringify(change)})`,
    JSON.stringify({ schema: 1, changes: [change] }),
  ]),
];
for (const [name, text] of damaged) {
  test(`a record ${name} is refused as a whole`, () => {
    writeFileSync(path, text);
    assert.equal(readRecord(path), null);
  });
}
