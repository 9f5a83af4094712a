/** What tells that a link's way out of the machine is another now. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { placeOf } from "../../src/portal/place.ts";
import { inNamespace } from "../native/harness.ts";

const TUNNEL = "mpfwd0";
const ip = (...args: string[]) => execFileSync("ip", args);

inNamespace(import.meta.filename, () => {
  test("a place changes with its device's addresses, and not with others'", () => {
    for (const name of ["one", "two", TUNNEL]) {
      ip("link", "add", name, "type", "veth", "peer", "name", `${name}-peer`);
      ip("link", "set", name, "up");
      ip("link", "set", `${name}-peer`, "up");
    }
    ip("address", "add", "192.0.2.1/24", "dev", "one");
    const [one, any] = [placeOf("one", TUNNEL), placeOf(undefined, TUNNEL)];
    assert.equal(placeOf("one", TUNNEL), one);
    ip("address", "add", "198.51.100.1/24", "dev", TUNNEL);
    assert.equal(placeOf(undefined, TUNNEL), any, "the tunnel's own do not count");
    ip("address", "add", "203.0.113.1/24", "dev", "two");
    assert.equal(placeOf("one", TUNNEL), one);
    assert.notEqual(placeOf(undefined, TUNNEL), any);
    ip("address", "add", "192.0.2.2/24", "dev", "one");
    assert.notEqual(placeOf("one", TUNNEL), one);
  });
});
