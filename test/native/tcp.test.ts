/** Messages over TCP: whole and in order however the stream is cut, full sockets, tags, sources. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pathText } from "../../src/core/path.ts";
import { INFO_SOURCE_DIFFERS, READY } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  GCM_KEYS,
  giveAll,
  type Harness,
  harness,
  KEYS,
  preamble,
  sealed,
  sendOctets,
  slots,
} from "./harness.ts";
import { inNamespace } from "./namespace.ts";
import {
  collect,
  context as contextOn,
  framed,
  LINK,
  message,
  NO_TRANSMITS,
  send,
  stranger,
  tcpPair,
  writable,
} from "./tcp-pair.ts";

/** Longest message that a stream carries. */
const MESSAGE_MAX = 1984;

inNamespace(import.meta.filename, () => {
  for (const family of [4, 6] as const) {
    for (const [suite, keys] of [
      ["HMAC", KEYS],
      ["GCM", GCM_KEYS],
    ] as const) {
      test(`TCP over IPv${family}, ${suite}: batches arrive whole and in order, both ways`, async (context) => {
        const at = harness(context);
        const { client, server } = await tcpPair(at, family);
        const messages = Array.from({ length: 500 }, (_, seq) => message(seq, 20 + 3 * seq));
        const transmit = contextOn(at, client, keys);
        for (const [from, to] of [
          [client, server],
          [server, client],
        ] as const) {
          at.engine.setPath(transmit, from, null);
          let sent = 0;
          const got: Uint8Array[] = [];
          while (got.length < messages.length) {
            const taken = send(at, transmit, messages.slice(sent), sent);
            got.push(...(await collect(at, to, taken)));
            sent += taken;
          }
          assert.deepEqual(got, messages);
          at.engine.removeReceive(LINK);
          at.engine.addReceive(LINK, { ...keys, context: 3, transmits: NO_TRANSMITS });
        }
      });
    }

    test(`TCP over IPv${family}: an accepted socket knows both ends`, async (context) => {
      const at = harness(context);
      const { client, server, path } = await tcpPair(at, family);
      const near = at.engine.localAddress(client);
      const text = family === 4 ? `127.0.0.1:${near.port}` : `[::1]:${near.port}`;
      assert.equal(pathText(path), text);
      assert.deepEqual([path[0], path[1]], [family, 2]);
      assert.deepEqual(path.slice(24), path.slice(8, 24), "the loopback is at both ends");
      sendOctets(at, client, message(1, 30));
      const batch = slots(at.arena, 1);
      const [slot] = batch as unknown as [number];
      while (at.engine.receivePlain(server, batch, 1) === 0) await writable(at, server);
      assert.deepEqual(at.arena.paths.slice(slot * 40, slot * 40 + 40), path);
      assert.equal(at.arena.info[slot], 0);
      assert.equal(at.engine.sendPlain(server, slot, path), true, "it can be answered along it");
      assert.deepEqual(await collect(at, client, 1, { plain: true }), [message(1, 30)]);
    });
  }

  test("a stream cut anywhere gives the same messages", async (context) => {
    const at = harness(context);
    const { socket, server } = await stranger(at, context);
    const sizes = fc.array(fc.integer({ min: 1, max: MESSAGE_MAX }), {
      minLength: 1,
      maxLength: 80,
    });
    const pieces = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 40 });
    const capacity = fc.integer({ min: 1, max: 64 });
    const property = fc.asyncProperty(sizes, pieces, capacity, async (octets, cuts, slotCount) => {
      const messages = octets.map((count, index) => new Uint8Array(count).fill(index + 1));
      const stream = concat(...messages.map(framed));
      const got: Uint8Array[] = [];
      for (let offset = 0, turn = 0; offset < stream.length; turn += 1) {
        const end = offset + (cuts[turn % cuts.length] as number);
        socket.write(stream.subarray(offset, end));
        offset = end;
        got.push(...takePlain(at, server, slotCount));
      }
      const rest = messages.length - got.length;
      got.push(...(await collect(at, server, rest, { plain: true, capacity: slotCount })));
      assert.deepEqual(got, messages);
      assert.equal(at.engine.takeErrors(server), null);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test("whole messages that find no slot keep the socket readable, in order", async (context) => {
    const at = harness(context);
    const { client, server } = await tcpPair(at);
    const transmit = contextOn(at, client);
    const messages = Array.from({ length: 12 }, (_, seq) => message(seq, 200));
    assert.equal(send(at, transmit, messages), 12);
    const got = await collect(at, server, 5, { capacity: 5 });
    at.engine.watch(new Int32Array(128), () => assert.fail("nobody waits"));
    assert.equal(at.engine.watchNow(), 1, "the kernel has nothing more, the addon has");
    at.engine.setInterest(server, 0);
    assert.equal(at.engine.watchNow(), 0);
    at.engine.setInterest(server, READY.readable);
    assert.equal(at.engine.watchNow(), 1);
    at.engine.unwatch();
    got.push(...(await collect(at, server, 7, { capacity: 3 })));
    assert.deepEqual(got, messages);
    assert.equal(counted(at.arena, "badTag"), 0);
  });

  test("a full socket gives the rest back, and no message is torn", async (context) => {
    const at = harness(context, 4096);
    const { client, server } = await tcpPair(at, 4, { bufferBytes: 32768 });
    const transmit = contextOn(at, client);
    let sent = 0;
    for (let taken = 20; taken === 20; sent += taken) {
      assert.ok(sent < 1000, "the socket fills up");
      taken = send(at, transmit, batchFrom(sent), sent);
    }
    assert.ok(counted(at.arena, "sendBlocked") > 0);
    assert.equal(send(at, transmit, batchFrom(sent), sent), 0, "full is full");
    const got = await collect(at, server, sent);
    assert.deepEqual(
      got,
      Array.from({ length: sent }, (_, seq) => message(seq, 1100 + (seq % 97))),
    );
    await writable(at, client);
    assert.equal(send(at, transmit, batchFrom(sent), sent), 20);
    assert.equal((await collect(at, server, 20)).length, 20);
    assert.equal(counted(at.arena, "badFrames"), 0);
  });

  test("what was kept of a message leaves by itself", async (context) => {
    const at = harness(context, 4096);
    // Of messages of several sizes, the last one that a socket takes is torn in most tries.
    for (let octets = 900; octets < 910; octets += 1) {
      const { client, server } = await tcpPair(at, 4, { bufferBytes: 32768 });
      const transmit = contextOn(at, client);
      let sent = 0;
      while (send(at, transmit, [message(sent, octets)], sent) === 1) sent += 1;
      // The loop runs, nothing else is sent, and nobody watches for room.
      const got = await collect(at, server, sent);
      assert.deepEqual(got.at(-1), message(sent - 1, octets));
      at.engine.removeReceive(LINK);
      at.engine.close(client);
      at.engine.close(server);
    }
  });

  test("tags and sequence numbers are checked as on every transport", async (context) => {
    const at = harness(context);
    const { socket, server } = await stranger(at, context);
    at.engine.addReceive(LINK, { ...KEYS, context: 3, transmits: NO_TRANSMITS });
    const good = (seq: number) => sealed(KEYS.data as Uint8Array, seq, message(seq, 60), 10);
    const bad = good(2).slice();
    bad[30] = (bad[30] as number) ^ 1;
    const stranded = concat(preamble(TYPE.data, 0, LINK + 1, 1), new Uint8Array(40));
    const stream = [good(1), bad, good(1), stranded, Uint8Array.of(0x90), good(2)];
    socket.write(concat(...stream.map(framed)));
    assert.deepEqual(await collect(at, server, 2), [message(1, 60), message(2, 60)]);
    const reasons = ["badTag", "replayed", "badIndex", "truncated"] as const;
    assert.deepEqual(
      reasons.map((reason) => counted(at.arena, reason)),
      [1, 1, 1, 1],
    );
  });

  test("a source is compared with the path for its own transport", async (context) => {
    const at = harness(context);
    const one = await tcpPair(at);
    const two = await tcpPair(at);
    const udp = at.engine.openSocket({ kind: "udp", family: 4, source: "127.0.0.1" });
    const sender = at.engine.openSocket({ kind: "udp", family: 4, source: "127.0.0.1" });
    at.engine.connectSocket(sender, "127.0.0.1", at.engine.localAddress(udp).port);
    const out = at.engine.addTransmit(KEYS);
    const back = [0, 1, 2].map(() => at.engine.addTransmit(KEYS)) as [number, number, number];
    at.engine.addReceive(LINK, { ...KEYS, context: 3, transmits: back });
    let seq = 0;
    const differs = async (from: number, to: number) => {
      at.engine.setPath(out, from, null);
      seq += 1;
      assert.equal(send(at, out, [message(seq, 60)], seq), 1);
      const batch = slots(at.arena, 1);
      const [slot] = batch as unknown as [number];
      while (at.engine.receive(to, batch, 1) === 0) await writable(at, to);
      giveAll(at.arena, batch);
      return ((at.arena.info[slot] as number) & INFO_SOURCE_DIFFERS) !== 0;
    };
    assert.equal(await differs(one.client, one.server), false, "no path yet");
    at.engine.setPath(back[2], one.server, null);
    assert.equal(await differs(one.client, one.server), false);
    assert.equal(await differs(two.client, two.server), true, "another connection");
    assert.equal(await differs(sender, udp), false, "no path for UDP");
    at.engine.setPath(back[1], sender, null);
    assert.equal(await differs(sender, udp), true);
    assert.equal(await differs(one.client, one.server), false, "and TCP is as before");
    at.engine.setPath(back[2], one.server, one.path);
    assert.equal(await differs(one.client, one.server), false, "the same by its path");
    at.engine.removeTransmit(back[2]);
    assert.equal(await differs(two.client, two.server), false);
  });

  test("any octets at all end in messages, refusals or an end, and nothing is handed on twice", async (context) => {
    const at = harness(context);
    const octets = fc.uint8Array({ minLength: 1, maxLength: 20_000 });
    // Lengths that can be, so that the stream does not end at once.
    const likely = fc
      .array(fc.tuple(fc.integer({ min: 0, max: 7 }), fc.uint8Array({ maxLength: 1800 })), {
        maxLength: 30,
      })
      .map((parts) =>
        concat(...parts.map(([high, rest]) => concat(Uint8Array.of(high, 99), rest))),
      );
    const property = fc.asyncProperty(fc.oneof(octets, likely), async (stream) => {
      const { socket, server } = await stranger(at, context);
      socket.end(stream);
      const batch = slots(at.arena, 16);
      let handed = 0;
      while (at.engine.takeErrors(server) === null) {
        const got = at.engine.receivePlain(server, batch, 16);
        for (const slot of batch.subarray(0, got)) handed += 2 + (at.arena.length[slot] as number);
        if (got === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(["EOF", "EBADMSG"].includes(at.engine.takeErrors(server)?.code ?? ""));
      assert.ok(handed <= stream.length);
      giveAll(at.arena, batch);
      at.engine.close(server);
    });
    await fc.assert(property, { numRuns: 80 });
  });
});

function batchFrom(first: number): Uint8Array[] {
  return Array.from({ length: 20 }, (_, index) =>
    message(first + index, 1100 + ((first + index) % 97)),
  );
}

/** One call's worth of messages, unopened. */
function takePlain(at: Harness, server: number, capacity: number): Uint8Array[] {
  const batch = slots(at.arena, capacity);
  const got = at.engine.receivePlain(server, batch, capacity);
  const messages = [...batch.subarray(0, got)].map((slot) => at.arena.read(slot));
  giveAll(at.arena, batch);
  return messages;
}
