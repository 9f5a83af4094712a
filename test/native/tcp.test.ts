/** TCP sockets over the loopback: connecting, messages in a stream, full sockets, and every end. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import fc from "fast-check";
import { pathText } from "../../src/core/path.ts";
import { INFO_SOURCE_DIFFERS, READY } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  countersText,
  GCM_KEYS,
  giveAll,
  type Harness,
  harness,
  inNamespace,
  KEYS,
  preamble,
  put,
  sealed,
  sendOctets,
  slots,
} from "./harness.ts";
import {
  accepted,
  collect,
  context as contextOn,
  failure,
  framed,
  LINK,
  listener,
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

  test("a socket that is not connected yet takes nothing, and says when it does", async (context) => {
    const at = harness(context);
    const rules = `
      table inet hold {
        chain in { type filter hook input priority filter; tcp dport 7100 drop; }
      }`;
    execFileSync("nft", ["-f", "-"], { input: rules });
    context.after(() => execFileSync("nft", ["delete table inet hold"]));
    const listening = listener(at, 4, { port: 7100 });
    const client = at.engine.openSocket({ kind: "tcp", family: 4 });
    const transmit = contextOn(at, client);
    assert.equal(send(at, transmit, [message(0, 100)]), 0, "not even connecting");
    at.engine.watch(new Int32Array(128), () => assert.fail("an idle socket is not ready"));
    assert.equal(at.engine.watchNow(), 0);
    at.engine.unwatch();
    at.engine.connectSocket(client, listening.source, listening.port);
    at.engine.setInterest(client, READY.readable | READY.writable);
    assert.equal(send(at, transmit, [message(0, 100)]), 0);
    assert.equal(counted(at.arena, "sendBlocked"), 2, countersText(at.arena));
    assert.equal(at.engine.takeErrors(client), null);
    execFileSync("nft", ["flush chain inet hold in"]);
    await writable(at, client);
    assert.equal(send(at, transmit, [message(0, 100)]), 1);
    const { handle } = await accepted(at, listening.handle);
    assert.deepEqual(await collect(at, handle, 1), [message(0, 100)]);
  });

  test("a refused connection is an error that stays", async (context) => {
    const at = harness(context);
    const client = at.engine.openSocket({ kind: "tcp", family: 4 });
    const transmit = contextOn(at, client);
    at.engine.connectSocket(client, "127.0.0.1", 7101);
    const refused = { count: 1, code: "ECONNREFUSED", icmp: null };
    assert.deepEqual(await failure(at, client), refused);
    assert.deepEqual(at.engine.takeErrors(client), refused);
    assert.deepEqual(at.engine.takeErrorList(client, 5), [refused]);
    assert.equal((await failure(at, client)).code, "ECONNREFUSED", "and the handle stays ready");
    assert.equal(send(at, transmit, [message(0, 100), message(1, 100)]), 2);
    assert.equal(counted(at.arena, "sendUnreachable"), 2);
    assert.throws(
      () => at.engine.connectSocket(client, "127.0.0.1", 7101),
      (error: NodeJS.ErrnoException) => error.code === "EISCONN",
    );
  });

  test("the end of the stream comes behind its last message, and stays", async (context) => {
    const at = harness(context);
    const { client, server } = await tcpPair(at);
    const transmit = contextOn(at, client);
    send(at, transmit, [message(0, 100), message(1, 100)]);
    at.engine.close(client);
    assert.deepEqual(await collect(at, server, 1, { capacity: 1 }), [message(0, 100)]);
    assert.equal(at.engine.takeErrors(server), null, "one message is still there");
    assert.deepEqual(await collect(at, server, 1), [message(1, 100)]);
    const batch = slots(at.arena, 1);
    while (at.engine.takeErrors(server) === null) {
      assert.equal(at.engine.receive(server, batch, 1), 0);
    }
    assert.deepEqual(await failure(at, server), { count: 1, code: "EOF", icmp: null });
    assert.deepEqual(at.engine.takeErrors(server), { count: 1, code: "EOF", icmp: null });
    const back = at.engine.addTransmit(KEYS);
    at.engine.setPath(back, server, null);
    assert.equal(send(at, back, [message(0, 100)]), 1);
    assert.equal(counted(at.arena, "sendUnreachable"), 1);
  });

  test("a connection that the peer aborts says so", async (context) => {
    const at = harness(context);
    const { socket, server } = await stranger(at, context);
    socket.resetAndDestroy();
    assert.deepEqual(await failure(at, server), { count: 1, code: "ECONNRESET", icmp: null });
    assert.equal(at.engine.receivePlain(server, slots(at.arena, 1), 1), 0);
    assert.equal(at.engine.takeErrors(server)?.code, "ECONNRESET", "the first cause stays");
  });

  for (const length of [0, MESSAGE_MAX + 1, 0xffff]) {
    test(`a length of ${length} ends the connection behind the messages before it`, async (context) => {
      const at = harness(context);
      const { socket, server } = await stranger(at, context);
      const closed = once(socket, "close");
      socket.resume();
      const bad = Uint8Array.of(length >> 8, length & 0xff);
      const after = framed(new Uint8Array(50).fill(3));
      socket.write(concat(framed(new Uint8Array(40).fill(1)), bad, after, after));
      const got = await collect(at, server, 1, { plain: true });
      assert.deepEqual(got, [new Uint8Array(40).fill(1)]);
      const batch = slots(at.arena, 8);
      while (at.engine.takeErrors(server) === null) {
        assert.equal(at.engine.receivePlain(server, batch, 8), 0);
      }
      assert.deepEqual(await failure(at, server), { count: 1, code: "EBADMSG", icmp: null });
      assert.equal(at.engine.receivePlain(server, batch, 8), 0);
      assert.equal(counted(at.arena, "badFrames"), 1);
      at.engine.close(server);
      await closed;
    });
  }

  test("a flood of refused messages costs counters and bounded time", async (context) => {
    const at = harness(context);
    const { socket, server } = await stranger(at, context);
    const flood = new Uint8Array(3 * 400_000);
    for (let at3 = 1; at3 < flood.length; at3 += 3) flood[at3] = 1;
    socket.write(flood);
    const batch = slots(at.arena, 8);
    let calls = 0;
    while (counted(at.arena, "truncated") < 400_000) {
      const before = counted(at.arena, "truncated");
      assert.equal(at.engine.receive(server, batch, 8), 0);
      assert.ok(counted(at.arena, "truncated") - before <= (9 * 65536) / 3 + 1);
      calls += 1;
      if (counted(at.arena, "truncated") === before) await writable(at, server);
    }
    assert.ok(calls > 2);
    assert.equal(at.engine.takeErrors(server), null);
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

  test("accepted sockets are limited, and the others are turned away and counted", async (context) => {
    const at = harness(context, 64);
    const { handle, source, port } = listener(at);
    const other = harness(context, 64);
    const clients = Array.from({ length: 194 }, () => {
      const client = other.engine.openSocket({ kind: "tcp", family: 4 });
      other.engine.connectSocket(client, source, port);
      return client;
    });
    const open: number[] = [];
    while (open.length < 192) open.push((await accepted(at, handle)).handle);
    while (counted(at.arena, "acceptsRefused") < 2) {
      assert.equal(at.engine.acceptSocket(handle), null);
    }
    const codes = await Promise.all(clients.slice(-2).map((client) => failureCode(other, client)));
    assert.deepEqual(codes, ["ECONNRESET", "ECONNRESET"]);
    at.engine.openSocket({ kind: "udp", family: 4 });
    at.engine.close(open[7] as number);
    const late = at.engine.openSocket({ kind: "tcp", family: 4 });
    at.engine.connectSocket(late, source, port);
    assert.ok((await accepted(at, handle)).handle > 0, "there is room again");
  });

  test("options reach the kernel, and an accepted socket has them", async (context) => {
    const at = harness(context);
    const options = { device: "lo", mark: 0xbeef, hopLimit: 9, port: 7102 };
    const listening = listener(at, 4, options);
    const client = at.engine.openSocket({ kind: "tcp", family: 4, mark: 0xcafe });
    const transmit = contextOn(at, client);
    at.engine.connectSocket(client, listening.source, listening.port);
    const { handle } = await accepted(at, listening.handle);
    assert.deepEqual(at.engine.localAddress(handle), { address: "127.0.0.1", port: 7102 });
    let sent = 0;
    for (; ; sent += 1) if (send(at, transmit, [message(sent, 1500)], sent) === 0) break;
    assert.ok(sent > 50);
    const of = (...filter: string[]) =>
      execFileSync("ss", ["-tnaeiO", ...filter], { encoding: "utf8" }).split("\n")[1] as string;
    assert.match(of("state", "established", "sport", "=", ":7102"), /%lo.* fwmark:0xbeef/);
    const sending = of("state", "established", "dport", "=", ":7102");
    assert.match(sending, /fwmark:0xcafe/);
    const unsent = Number(/ notsent:(\d+)/.exec(sending)?.[1] ?? 0);
    assert.ok(unsent > 0 && unsent <= (32 + 64) * 1024, `not sent yet: ${unsent}`);
  });

  test("calls that make no sense are refused", async (context) => {
    const at = harness(context, 64);
    const { handle, source, port } = listener(at);
    const failsWith = (code: string) => (error: NodeJS.ErrnoException) => error.code === code;
    const again = () => listener(at, 4, { port });
    assert.throws(again, failsWith("EADDRINUSE"));
    const client = at.engine.openSocket({ kind: "tcp", family: 4 });
    at.engine.connectSocket(client, source, port);
    assert.throws(() => at.engine.listenSocket(client, 5), failsWith("EISCONN"));
    assert.throws(() => at.engine.acceptSocket(client), TypeError);
    const udp = at.engine.openSocket({ kind: "udp", family: 4 });
    assert.throws(() => at.engine.listenSocket(udp, 5), TypeError);
    const transmit = at.engine.addTransmit(KEYS);
    assert.throws(() => at.engine.setPath(transmit, handle, null), TypeError);
    assert.equal(
      at.engine.receive(handle, slots(at.arena, 1), 1),
      0,
      "a listener receives nothing",
    );
    await writable(at, client);
    put(at.arena, 5, new Uint8Array(MESSAGE_MAX));
    assert.equal(at.engine.sendPlain(client, 5, null), true);
    at.arena.start[5] = 5 * 2048;
    at.arena.length[5] = MESSAGE_MAX + 1;
    assert.equal(at.engine.sendPlain(client, 5, null), false);
    assert.equal(counted(at.arena, "sendTooBig"), 1);
    at.arena.length[5] = 0;
    assert.equal(at.engine.sendPlain(client, 5, null), false);
    const { handle: server } = await accepted(at, handle);
    assert.equal((await collect(at, server, 1, { plain: true, capacity: 2 })).length, 1);
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

async function failureCode(at: Harness, client: number): Promise<string> {
  return (at.engine.takeErrors(client) ?? (await failure(at, client))).code;
}
