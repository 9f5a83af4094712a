/**
 * Remote and addresses that are not proven: at most three times the octets heard go there (RFC 9000 section 8), an echo
 * by the same transport proves one, and raw is not spoken before it is heard.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { TRANSPORTS } from "../../src/core/transport.ts";
import { HELLO_OCTETS } from "../../src/wire/hello.ts";
import { drain, helloOf, ladderOf, NOTHING, switchesOf } from "./lone-ladder.ts";

for (const transport of ["raw", "udp"] as const) {
  const number = TRANSPORTS.indexOf(transport);
  const home = transport === "raw" ? "udp" : "raw";
  test(`Remote sends at most 3 x the octets heard to an unproven ${transport} address`, () => {
    const remote = ladderOf("remote");
    remote.open(0, home);
    remote.attached(0, home);
    remote.open(0, transport);
    let heard = 0;
    let sent = 0;
    for (let number_ = 1; number_ < 200; number_ += 1) {
      const nowUs = number_ * 20 * MS;
      // Whoever replays HELLOs from another address cannot echo what was sent to it.
      remote.receive(nowUs, transport, helloOf({ transport: number, number: number_ }));
      heard += HELLO_OCTETS;
      for (const out of drain(remote, nowUs, nowUs + 19 * MS)) {
        if (out.transport === transport) sent += out.hello.octets;
      }
      assert.ok(sent <= 3 * heard, `${sent} for ${heard}`);
      assert.equal(remote.current, home);
    }
    assert.ok(sent > 0);
  });
}

test("one HELLO from an unproven address brings three of the same length, and no more ever", () => {
  const remote = ladderOf("remote");
  remote.open(0, "raw");
  remote.attached(0, "raw");
  remote.open(0, "udp");
  remote.receive(0, "udp", helloOf({ transport: 1 }));
  const sent = drain(remote, 0, 3600 * SECOND).filter(({ transport }) => transport === "udp");
  assert.equal(sent.length, 3);
  assert.ok(sent.every(({ hello }) => hello.octets === HELLO_OCTETS));
});

test("Remote: a raw address that has changed is not spoken to before it is heard", () => {
  const remote = ladderOf("remote");
  for (const transport of ["raw", "udp"] as const) {
    remote.open(0, transport);
    remote.attached(0, transport);
  }
  drain(remote, 0, SECOND);
  remote.open(2 * SECOND, "raw");
  const used = new Set(drain(remote, 2 * SECOND, 60 * SECOND).map(({ transport }) => transport));
  assert.deepEqual([...used], ["udp"]);
  assert.deepEqual(switchesOf(remote), ["null to raw: attached", "raw to udp: address changed"]);
});

test("Remote: an echo proves the address, an old one does not", () => {
  const remote = ladderOf("remote");
  remote.open(0, "raw");
  remote.attached(0, "raw");
  const first = drain(remote, 0, 0).find(({ transport }) => transport === "raw");
  assert.ok(first !== undefined);
  const echo = (nonce: number, number: number) =>
    helloOf({
      number,
      ask: false,
      seen: [{ highest: 1, bitmap: 0, echo: nonce }, NOTHING, NOTHING],
    });
  // The client has another address now: nothing may carry until it is proven.
  remote.open(SECOND, "raw");
  remote.receive(SECOND, "raw", echo(first.hello.nonce, 1));
  const again = drain(remote, SECOND, SECOND + MS).find(({ transport }) => transport === "raw");
  assert.ok(again !== undefined && again.hello.nonce !== first.hello.nonce);
  assert.equal(remote.current, null);
  const seen = [
    { highest: again.hello.number, bitmap: 0, echo: again.hello.nonce },
    NOTHING,
    NOTHING,
  ];
  remote.receive(SECOND + 50 * MS, "raw", helloOf({ number: 2, seen }));
  drain(remote, SECOND + 50 * MS, SECOND + 50 * MS);
  assert.equal(remote.current, "raw");
  assert.deepEqual(switchesOf(remote), ["null to raw: attached", "null to raw: answered"]);
});

test("Remote: an echo that comes by another transport proves no address", () => {
  const remote = ladderOf("remote");
  for (const transport of ["raw", "udp"] as const) {
    remote.open(0, transport);
    remote.attached(0, transport);
  }
  drain(remote, 0, SECOND);
  // Somebody plays a HELLO of the client's from his own address, and passes on what he is sent.
  remote.open(2 * SECOND, "raw");
  remote.receive(2 * SECOND, "raw", helloOf());
  const sent = drain(remote, 2 * SECOND, 2.2 * SECOND);
  const told = sent.find(({ transport }) => transport === "raw");
  assert.ok(told !== undefined);
  const { number, nonce } = told.hello;
  const seen = [{ highest: number, bitmap: 0, echo: nonce }, NOTHING, NOTHING];
  remote.receive(2.2 * SECOND, "udp", helloOf({ transport: 1, number: 9, seen }));
  const all = [...sent, ...drain(remote, 2.2 * SECOND, 20 * SECOND)];
  const octets = all
    .filter(({ transport }) => transport === "raw")
    .reduce((sum, { hello }) => sum + hello.octets, 0);
  assert.ok(octets <= 3 * HELLO_OCTETS, `${octets} octets went to an address that is not proven`);
  assert.equal(remote.current, "udp");
});

test("Remote: attaching anew by the same transport, as in a rekey, moves nothing", () => {
  const remote = ladderOf("remote");
  for (const transport of ["raw", "udp"] as const) remote.open(0, transport);
  remote.attached(0, "raw");
  drain(remote, 0, 0);
  remote.open(SECOND, "raw");
  remote.attached(SECOND, "raw");
  drain(remote, SECOND, SECOND);
  assert.deepEqual(switchesOf(remote), ["null to raw: attached"]);
  assert.equal(remote.current, "raw");
});

test("Remote never speaks by raw to a client it has not heard by raw", () => {
  const remote = ladderOf("remote");
  remote.open(0, "udp");
  remote.attached(0, "udp");
  remote.open(0, "raw");
  const used = new Set(drain(remote, 0, 600 * SECOND).map(({ transport }) => transport));
  assert.deepEqual([...used], ["udp"]);
});
