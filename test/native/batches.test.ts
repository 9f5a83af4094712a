/** Batches by raw and UDP sockets: whole and in order, in few system calls, and what does not fit waits or is dropped. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { READY } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  countersText,
  GCM_KEYS,
  giveAll,
  type Harness,
  harness,
  KEYS,
  KINDS,
  loopbackPair,
  preamble,
  put,
  slots,
  transmitBy,
} from "./harness.ts";
import { inNamespace, ip } from "./namespace.ts";

const LINK = 0x1234;
inNamespace(import.meta.filename, () => {
  for (const [kind, family] of KINDS) {
    for (const [suite, keys] of [
      ["HMAC", KEYS],
      ["GCM", GCM_KEYS],
    ] as const) {
      test(`${kind} over IPv${family}, ${suite}: batches arrive whole and in order`, (context) => {
        const at = harness(context);
        const { server, transmit } = linkOver(at, kind, family, keys);
        // Runs of equal packets, shorter ones between them, and all different ones.
        const sizeOf = (index: number) =>
          index < 300 ? (index % 70 === 69 ? 300 : 1400) : 100 + index;
        const messages = dataMessages(500, sizeOf);
        assert.equal(sendAll(at, transmit, messages), 500, countersText(at.arena));
        assertArrives(at, server, messages, 512);
        assert.equal(counted(at.arena, "sendBlocked"), 0);
      });
    }
  }

  test("UDP: one system call sends many packets, and one receives many", (context) => {
    const at = harness(context);
    const { server, transmit } = linkOver(at, "udp", 4);
    const messages = dataMessages(128, () => 1200);
    sendAll(at, transmit, messages);
    assertArrives(at, server, messages, 256);
    assert.equal(counted(at.arena, "sendCalls"), 1);
    assert.equal(counted(at.arena, "receiveCalls"), 1);
    assert.ok(counted(at.arena, "udpSegmented") >= 2 && counted(at.arena, "udpCoalesced") >= 2);
  });

  test("UDP without segmentation works packet by packet", (context) => {
    const at = harness(context);
    const options = { kind: "udp", family: 4, source: "127.0.0.1", segmentation: false } as const;
    const server = at.engine.openSocket(options);
    const client = at.engine.openSocket(options);
    at.engine.connectSocket(client, "127.0.0.1", at.engine.localAddress(server).port);
    const transmit = transmitBy(at.engine, client);
    at.engine.addReceive(LINK, { ...KEYS, context: 3, transmits: [0, 0, 0] });
    const messages = dataMessages(200, () => 1200);
    sendAll(at, transmit, messages);
    assertArrives(at, server, messages, 256);
    assert.equal(counted(at.arena, "udpSegmented") + counted(at.arena, "udpCoalesced"), 0);
  });

  test("joined datagrams that find no slot wait, in order, and keep the socket readable", async (context) => {
    const at = harness(context);
    const { server, transmit } = linkOver(at, "udp", 4);
    sendAll(
      at,
      transmit,
      dataMessages(64, () => 1000),
    );
    const seqs: number[] = [];
    const batch = slots(at.arena, 5);
    const ready = new Int32Array(128);
    await new Promise<void>((resolve) => {
      at.engine.watch(ready, (count) => {
        assert.deepEqual([...ready.subarray(0, 2 * count)], [server, READY.readable]);
        // One call a wake-up: only the leftover makes the next one come.
        const got = at.engine.receive(server, batch, 5);
        for (const slot of batch.subarray(0, got)) seqs.push(at.arena.seq[slot] as number);
        if (seqs.length < 64) {
          assert.equal(at.engine.watchNow(), 1);
          return;
        }
        assert.equal(at.engine.watchNow(), 0);
        at.engine.unwatch();
        resolve();
      });
    });
    assert.deepEqual(
      seqs,
      Array.from({ length: 64 }, (_, index) => index),
    );
    // The last call had room for one more than was left and looked.
    assert.equal(counted(at.arena, "receiveCalls"), 2);
  });

  test("a leftover does not wake a handle whose interest is off", (context) => {
    const at = harness(context);
    const { server, transmit } = linkOver(at, "udp", 4);
    sendAll(
      at,
      transmit,
      dataMessages(10, () => 1000),
    );
    const batch = slots(at.arena, 3);
    assert.equal(at.engine.receive(server, batch, 3), 3);
    at.engine.watch(new Int32Array(128), () => assert.fail("nothing may become ready"));
    assert.equal(at.engine.watchNow(), 1);
    at.engine.setInterest(server, 0);
    assert.equal(at.engine.watchNow(), 0);
    at.engine.setInterest(server, READY.readable);
    assert.equal(at.engine.watchNow(), 1);
    at.engine.unwatch();
  });

  test("a segment too long for the device is dropped without giving up segmentation", (context) => {
    const at = harness(context);
    const { server, transmit } = linkOver(at, "udp", 4);
    context.after(() => ip("link", "set", "lo", "mtu", "65536"));
    ip("link", "set", "lo", "mtu", "1300");
    const messages = dataMessages(40, (index) => (index >= 10 && index < 20 ? 1400 : 1000));
    assert.equal(sendAll(at, transmit, messages), 40);
    assert.equal(counted(at.arena, "sendTooBig"), 10, countersText(at.arena));
    const fit = messages.filter((message) => message.length < 1300);
    assertArrives(at, server, fit, 64);
    const before = counted(at.arena, "udpSegmented");
    sendAll(
      at,
      transmit,
      dataMessages(10, () => 1000),
    );
    assert.equal(counted(at.arena, "udpSegmented"), before + 1);
  });

  test("a full socket gives the rest back and becomes writable later", async (context) => {
    const at = harness(context);
    ip("link", "add", "va", "type", "veth", "peer", "name", "vb");
    context.after(() => ip("link", "del", "va"));
    ip("addr", "add", "10.77.0.1/24", "dev", "va");
    ip("link", "set", "va", "up");
    ip("link", "set", "vb", "up");
    ip("neigh", "add", "10.77.0.2", "lladdr", "02:00:00:00:00:02", "dev", "va");
    // A slow queue keeps the packets on the sending socket's account.
    execFileSync("tc", "qdisc add dev va root tbf rate 100mbit burst 10k limit 10m".split(" "));
    const client = at.engine.openSocket({
      kind: "raw",
      family: 4,
      protocol: 253,
      bufferBytes: 65536,
    });
    at.engine.connectSocket(client, "10.77.0.2", 0);
    const transmit = transmitBy(at.engine, client);
    const messages = dataMessages(500, () => 1200);
    const sent = sendAll(at, transmit, messages);
    assert.ok(sent > 10 && sent < 500, `sent ${sent}`);
    assert.equal(counted(at.arena, "sendBlocked"), 500 - sent);
    at.engine.setInterest(client, READY.readable | READY.writable);
    const ready = new Int32Array(128);
    const events = await new Promise<number>((resolve) => {
      at.engine.watch(ready, () => {
        at.engine.unwatch();
        resolve(ready[1] as number);
      });
    });
    assert.equal(events, READY.writable);
  });

  test("a transmit context without an open socket drops and counts", (context) => {
    const at = harness(context);
    const { client } = loopbackPair(at.engine, "udp", 4);
    const transmit = at.engine.addTransmit(KEYS);
    const messages = dataMessages(3, () => 100);
    assert.equal(sendAll(at, transmit, messages), 3);
    at.engine.setPath(transmit, client, null);
    at.engine.close(client);
    assert.equal(sendAll(at, transmit, messages), 3);
    assert.equal(counted(at.arena, "sendUnreachable"), 6);
  });
});

/** Two sockets on the loopback; the first opens what the second sends by `transmit`. */
function linkOver(at: Harness, kind: "raw" | "udp", family: 4 | 6, keys = KEYS) {
  const { server, client } = loopbackPair(at.engine, kind, family);
  const transmit = transmitBy(at.engine, client, keys);
  at.engine.addReceive(LINK, { ...keys, context: 3, transmits: [0, 0, 0] });
  return { server, transmit };
}

function dataMessages(count: number, sizeOf: (index: number) => number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const payload = new Uint8Array(sizeOf(index) - 8).fill(index);
    return concat(preamble(TYPE.data, 0, LINK, index), payload);
  });
}

function sendAll(at: Harness, transmit: number, messages: Uint8Array[]): number {
  const batch = slots(at.arena, messages.length);
  messages.forEach((message, index) => {
    put(at.arena, batch[index] as number, message, index);
  });
  const sent = at.engine.send(transmit, batch, messages.length);
  giveAll(at.arena, batch);
  return sent;
}

function assertArrives(
  at: Harness,
  server: number,
  messages: Uint8Array[],
  capacity: number,
): void {
  const batch = slots(at.arena, capacity);
  let count = 0;
  for (let tries = 0; tries < 100 && count < messages.length; tries += 1) {
    count += at.engine.receive(server, batch.subarray(count), capacity - count);
  }
  assert.equal(count, messages.length, countersText(at.arena));
  messages.forEach((message, index) => {
    assert.deepEqual(at.arena.read(batch[index] as number), message, `message ${index}`);
  });
  assert.equal(new Set(batch).size, capacity, "the batch is a permutation of its slots");
  giveAll(at.arena, batch);
}
