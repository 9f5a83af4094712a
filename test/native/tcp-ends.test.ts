/** How TCP connections begin and end: refused, closed, aborted, damaged, limited. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { READY } from "../../src/native/native.ts";
import {
  concat,
  counted,
  countersText,
  type Harness,
  harness,
  KEYS,
  put,
  slots,
  transmitBy,
} from "./harness.ts";
import { inNamespace } from "./namespace.ts";
import {
  accepted,
  collect,
  context as contextOn,
  failure,
  framed,
  listener,
  message,
  send,
  stranger,
  tcpPair,
  writable,
} from "./tcp-pair.ts";

/** Longest message that a stream carries. */
const MESSAGE_MAX = 1984;

inNamespace(import.meta.filename, () => {
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
    const back = transmitBy(at.engine, server);
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

  test("a connection that the process has no descriptor for is turned away, not waited for", async (context) => {
    const at = harness(context, 64);
    const { handle, source, port } = listener(at);
    const client = at.engine.openSocket({ kind: "tcp", family: 4 });
    at.engine.connectSocket(client, source, port);
    await writable(at, client);
    const limit = (soft: string) =>
      execFileSync("prlimit", [`--pid=${process.pid}`, `--nofile=${soft}:`]);
    const soft = execFileSync("prlimit", [
      `--pid=${process.pid}`,
      "--nofile",
      "-o",
      "SOFT",
      "--noheadings",
    ]);
    limit("256");
    const held: number[] = [];
    try {
      for (;;) held.push(openSync("/dev/null", "r"));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "EMFILE");
    }
    assert.equal(at.engine.acceptSocket(handle), null);
    for (const fd of held) closeSync(fd);
    limit(soft.toString().trim());
    assert.equal(counted(at.arena, "acceptsRefused"), 1);
    assert.equal((await failure(at, client)).code, "ECONNRESET");
    assert.equal(at.engine.acceptSocket(handle), null, "nobody waits any more");
    const late = at.engine.openSocket({ kind: "tcp", family: 4 });
    at.engine.connectSocket(late, source, port);
    assert.ok((await accepted(at, handle)).handle > 0);
  });

  test("a connection that the host knows no way for is refused at once, and may be tried again", async (context) => {
    const at = harness(context, 64);
    const client = at.engine.openSocket({ kind: "tcp", family: 4 });
    assert.throws(
      () => at.engine.connectSocket(client, "203.0.113.1", 1),
      (error: NodeJS.ErrnoException & { syscall?: string }) =>
        error.code === "ENETUNREACH" && error.syscall === "connect",
    );
    const { handle, source, port } = listener(at);
    at.engine.connectSocket(client, source, port);
    await writable(at, client);
    assert.ok((await accepted(at, handle)).handle > 0);
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

async function failureCode(at: Harness, client: number): Promise<string> {
  return (at.engine.takeErrors(client) ?? (await failure(at, client))).code;
}
