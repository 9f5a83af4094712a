/** What becomes of a batch when this machine will not send it, in situations that the kernel itself makes. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  countersText,
  giveAll,
  type Harness,
  harness,
  KEYS,
  loopbackPair,
  preamble,
  put,
  receiveSoon,
  slots,
  transmitBy,
} from "./harness.ts";
import { inNamespace, ip } from "./namespace.ts";

const LINK = 0x1234;
const PACKETS = 60;
/** Longer than any test's queue takes to drain, microseconds. */
const LONG_US = 5_000_000;

inNamespace(import.meta.filename, () => {
  for (const kind of ["raw", "udp"] as const) {
    test(`${kind}: a firewall's refusal costs the refused packets alone`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, kind, 4);
      const transmit = transmitBy(at.engine, client);
      at.engine.addReceive(LINK, { ...KEYS, context: 3, transmits: [0, 0, 0] });
      // UDP hands equally long packets to the firewall as one.
      const length = kind === "udp" ? "8000-9000" : "800-900";
      nft(context, `add rule ip t out meta length ${length} drop`);
      const refused = (index: number) => index >= 20 && index < 30;
      const sizeOf = (index: number) => (index < 20 ? 400 : 1000) + index;
      const batch = batchOf(at, (index) => (refused(index) ? 800 : sizeOf(index)));
      assert.equal(at.engine.send(transmit, batch, PACKETS), PACKETS);
      assert.deepEqual(at.engine.sendFailure(), { code: "EPERM", packets: 10, kept: false });
      assert.equal(counted(at.arena, "sendRefused"), 10, countersText(at.arena));
      assert.equal(counted(at.arena, "sendFailed"), 10);
      giveAll(at.arena, batch);
      const got = slots(at.arena, PACKETS);
      assert.equal(receiveSoon(at, server, got, PACKETS - 10), PACKETS - 10);
      const numbers = [...got.subarray(0, PACKETS - 10)].map((slot) => at.arena.seq[slot]);
      const expected = Array.from({ length: PACKETS }, (_, index) => index);
      assert.deepEqual(
        numbers,
        expected.filter((index) => !refused(index)),
      );
    });

    test(`${kind}: what a full device queue drops is kept, and leaves later, once`, (context) => {
      const at = harness(context);
      const client = slowDevice(context, at, kind, "rate 20mbit burst 2k limit 12k");
      const transmit = transmitBy(at.engine, client);
      const batch = batchOf(at, () => 1000);
      const first = at.engine.send(transmit, batch, PACKETS);
      assert.ok(first > 5 && first < 20, `${first} left at once`);
      const kept = PACKETS - first;
      assert.deepEqual(at.engine.sendFailure(), { code: "ENOBUFS", packets: kept, kept: true });
      assert.equal(counted(at.arena, "sendDeferred"), kept);
      assert.equal(counted(at.arena, "sendFailed"), 0, countersText(at.arena));
      const endUs = at.engine.nowUs() + LONG_US;
      let sent = first;
      while (sent < PACKETS && at.engine.nowUs() < endUs) {
        sent += at.engine.send(transmit, batch.subarray(sent), PACKETS - sent);
      }
      assert.equal(sent, PACKETS);
      assert.equal(at.engine.sendFailure(), null);
      while (received() < PACKETS && at.engine.nowUs() < endUs);
      assert.equal(received(), PACKETS);
    });
  }

  test("a small socket buffer in front of a slow device is the socket's affair", (context) => {
    const at = harness(context);
    const client = slowDevice(context, at, "udp", "rate 20mbit burst 2k limit 1m", 4096);
    const batch = batchOf(at, () => 1000);
    const sent = at.engine.send(transmitBy(at.engine, client), batch, PACKETS);
    assert.ok(sent < PACKETS, `${sent} left at once`);
    assert.equal(at.engine.sendFailure(), null);
    assert.equal(counted(at.arena, "sendBlocked"), PACKETS - sent);
  });

  test("a device that is down loses the batch and says why", (context) => {
    const at = harness(context);
    const client = slowDevice(context, at, "udp", "rate 20mbit burst 2k limit 1m");
    ip("link", "set", "va", "down");
    const batch = batchOf(at, () => 1000);
    assert.equal(at.engine.send(transmitBy(at.engine, client), batch, PACKETS), PACKETS);
    const failure = at.engine.sendFailure();
    assert.equal(failure?.code, "ENETUNREACH");
    assert.equal(failure?.packets, PACKETS);
    assert.equal(counted(at.arena, "sendUnreachable"), PACKETS, countersText(at.arena));
  });

  test("an unsealed message that a firewall refuses says so too", (context) => {
    const at = harness(context);
    const { client } = loopbackPair(at.engine, "udp", 4);
    nft(context, "add rule ip t out meta length 700-900 drop");
    const [slot] = slots(at.arena, 1) as unknown as [number];
    put(at.arena, slot, new Uint8Array(800).fill(0x90));
    assert.equal(at.engine.sendPlain(client, slot, null), false);
    assert.deepEqual(at.engine.sendFailure(), { code: "EPERM", packets: 1, kept: false });
    put(at.arena, slot, new Uint8Array(100).fill(0x90));
    assert.equal(at.engine.sendPlain(client, slot, null), true);
    assert.equal(at.engine.sendFailure(), null);
  });
});

function batchOf(at: Harness, sizeOf: (index: number) => number): Int32Array {
  const batch = slots(at.arena, PACKETS);
  for (const [index, slot] of batch.entries()) {
    const payload = new Uint8Array(sizeOf(index) - 8).fill(index);
    put(at.arena, slot, concat(preamble(TYPE.data, 0, LINK, index), payload), index);
  }
  return batch;
}

/** A socket whose packets leave through a veth with this token bucket; nobody answers at its end. */
function slowDevice(
  context: TestContext,
  at: Harness,
  kind: "raw" | "udp",
  bucket: string,
  bufferBytes = 1 << 20,
): number {
  ip("link", "add", "va", "type", "veth", "peer", "name", "vb");
  context.after(() => ip("link", "del", "va"));
  // The kernel's own IPv6 packets would be counted.
  for (const device of ["va", "vb"]) {
    writeFileSync(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`, "1");
    ip("link", "set", device, "up");
  }
  ip("addr", "add", "10.77.0.1/24", "dev", "va");
  ip("neigh", "add", "10.77.0.2", "lladdr", "02:00:00:00:00:02", "dev", "va");
  execFileSync("tc", `qdisc add dev va root tbf ${bucket}`.split(" "));
  const client = at.engine.openSocket({
    ...{ kind, family: 4, protocol: 253, bufferBytes, segmentation: false },
  });
  at.engine.connectSocket(client, "10.77.0.2", kind === "raw" ? 0 : 4444);
  return client;
}

/** Packets that came out of the other end of the veth. */
function received(): number {
  const [device] = JSON.parse(ip("-json", "-stats", "link", "show", "vb")) as {
    stats64: { rx: { packets: number } };
  }[];
  return device?.stats64.rx.packets ?? 0;
}

/** One rule for what this namespace sends. */
function nft(context: TestContext, rule: string): void {
  const run = (text: string) => execFileSync("nft", text.split(" "));
  run("add table ip t");
  context.after(() => run("delete table ip t"));
  run("add chain ip t out { type filter hook output priority 0 ; }");
  run(rule);
}
