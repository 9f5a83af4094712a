/** ICMP errors are told, and silence nothing: neither sending, nor receiving, nor the event loop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { READY } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  countersText,
  type Harness,
  harness,
  preamble,
  pump,
  put,
  sendOctets,
  slots,
  transmitBy,
} from "./harness.ts";
import { addAddress6, inNamespace, ip } from "./namespace.ts";

const LINK = 9;
const MESSAGE = concat(preamble(TYPE.data, 0, LINK, 1), new Uint8Array(40).fill(1));

// biome-ignore format: a table reads in columns
const cases = [
  { kind: "udp", family: 4, code: "ECONNREFUSED", type: 3, icmpCode: 3, why: "port unreachable" },
  { kind: "udp", family: 6, code: "ECONNREFUSED", type: 1, icmpCode: 4, why: "port unreachable" },
  { kind: "raw", family: 4, code: "ENOPROTOOPT",  type: 3, icmpCode: 2, why: "protocol unreachable" },
  { kind: "raw", family: 6, code: "EPROTO",       type: 4, icmpCode: 1, why: "unknown next header" },
] as const;

inNamespace(import.meta.filename, () => {
  for (const { kind, family, code, type, icmpCode, why } of cases) {
    const [near, far] = family === 4 ? ["127.0.0.1", "127.0.0.2"] : ["::1", "fd00::2"];

    const open = (at: Harness) => {
      if (family === 6) addAddress6(far, 128, "lo");
      const options = { kind, family, protocol: 253, port: 7000 } as const;
      const client = at.engine.openSocket({ ...options, source: near });
      at.engine.connectSocket(client, far, 7000);
      return { client, listen: () => listener(at, { ...options, source: far }, near) };
    };

    test(`${kind} over IPv${family}: ${why} is reported once, with its cause`, async (context) => {
      const at = harness(context);
      const { client } = open(at);
      assert.equal(at.engine.takeErrors(client), null);
      sendOctets(at, client, MESSAGE);
      const events: number[] = [];
      await pump(
        at.engine,
        (_, bits) => {
          events.push(bits);
          const error = at.engine.takeErrors(client);
          assert.ok(error !== null);
          assert.equal(error.code, code);
          assert.deepEqual(error.icmp, { type, code: icmpCode, from: far });
          assert.deepEqual(error.quoted, MESSAGE, "our own payload comes back");
          assert.equal(error.count, 1);
        },
        () => events.length > 0,
      );
      assert.ok(((events[0] as number) & READY.error) !== 0);
      assert.equal(at.engine.takeErrors(client), null, "drained");
      assert.equal(counted(at.arena, "icmpErrors"), 1);
    });

    for (const drain of [true, false]) {
      test(`${kind} over IPv${family}: ${why} does not silence the link, errors ${drain ? "taken" : "left"}`, async (context) => {
        const at = harness(context);
        const { client, listen } = open(at);
        const batch = slots(at.arena, 8);
        let wakes = 0;
        let received = 0;
        let peer = 0;
        sendOctets(at, client, MESSAGE);
        await pump(
          at.engine,
          (handle, bits) => {
            wakes += 1;
            if (handle !== client) return;
            if (drain && (bits & READY.error) !== 0) at.engine.takeErrors(client);
            // Left undrained, the error condition alone must not end the wake-ups.
            if (wakes === 5 || (drain && wakes === 1)) {
              peer = listen();
              sendOctets(at, peer, MESSAGE);
            }
            received += at.engine.receivePlain(client, batch, 8);
          },
          () => received > 0,
        );
        assert.equal(received, 1);
        sendOctets(at, client, MESSAGE);
        assert.equal(at.engine.receivePlain(peer, batch, 8), 1, "and it still sends");
      });
    }

    test(`${kind} over IPv${family}: a packet sent after ${why} is not lost to the old error`, (context) => {
      const at = harness(context);
      const { client, listen } = open(at);
      const transmit = transmitBy(at.engine, client);
      sendOctets(at, client, MESSAGE);
      const peer = listen();
      const batch = slots(at.arena, 3);
      batch.forEach((slot, index) => {
        put(at.arena, slot, concat(preamble(TYPE.data, 0, LINK, index), new Uint8Array(20)), index);
      });
      assert.equal(at.engine.send(transmit, batch, 3), 3, countersText(at.arena));
      assert.equal(at.engine.receivePlain(peer, batch, 3), 3, countersText(at.arena));
    });

    test(`${kind} over IPv${family}: a packet behind ${why} is received in the same call`, (context) => {
      const at = harness(context);
      const { client, listen } = open(at);
      sendOctets(at, client, MESSAGE);
      sendOctets(at, listen(), MESSAGE);
      assert.equal(at.engine.receivePlain(client, slots(at.arena, 3), 3), 1);
    });
  }

  test("errors are told one by one, oldest first, each with its own packet", (context) => {
    const at = harness(context);
    const client = at.engine.openSocket({ kind: "udp", family: 4, source: "127.0.0.1" });
    at.engine.connectSocket(client, "127.0.0.2", 7002);
    assert.deepEqual(at.engine.takeErrorList(client, 5), []);
    const messages = [0, 1, 2, 3, 4].map((seq) =>
      concat(preamble(TYPE.data, 0, LINK, seq), new Uint8Array(20 + 40 * seq).fill(seq)),
    );
    for (const message of messages) sendOctets(at, client, message);
    const told = [at.engine.takeErrorList(client, 3), at.engine.takeErrorList(client, 3)];
    assert.deepEqual(
      told.map((list) => list.length),
      [3, 2],
    );
    told.flat().forEach((error, index) => {
      assert.deepEqual(error.quoted, messages[index]?.subarray(0, 64), `error ${index}`);
      assert.deepEqual(
        [error.count, error.code, error.icmp],
        [1, "ECONNREFUSED", { type: 3, code: 3, from: "127.0.0.2" }],
      );
    });
    assert.deepEqual(at.engine.takeErrorList(client, 3), []);
    assert.equal(at.engine.takeErrors(client), null);
    assert.equal(counted(at.arena, "icmpErrors"), 5);
  });

  test("an error of ours quotes nothing", (context) => {
    const at = harness(context);
    const client = at.engine.openSocket({ kind: "udp", family: 4, source: "127.0.0.1" });
    at.engine.connectSocket(client, "127.0.0.1", 7003);
    context.after(() => ip("link", "set", "lo", "mtu", "65536"));
    ip("link", "set", "lo", "mtu", "1300");
    const [slot] = slots(at.arena, 1) as unknown as [number];
    put(at.arena, slot, concat(Uint8Array.of(0x90), new Uint8Array(1400)));
    assert.equal(at.engine.sendPlain(client, slot, null), false);
    const error = { count: 1, code: "EMSGSIZE", icmp: null };
    // Sending was tried again, because an error of this kind may be an older packet's.
    assert.deepEqual(at.engine.takeErrorList(client, 5), [error, error, error]);
  });

  test("a full error queue is drained in bounded steps", (context) => {
    const at = harness(context);
    const client = at.engine.openSocket({ kind: "udp", family: 4, source: "127.0.0.1" });
    at.engine.connectSocket(client, "127.0.0.2", 7001);
    let drained = 0;
    for (let index = 0; index < 3000; index += 1) sendOctets(at, client, MESSAGE);
    for (let error = at.engine.takeErrors(client); error !== null; ) {
      assert.ok(error.count <= 1024);
      drained += error.count;
      error = at.engine.takeErrors(client);
    }
    assert.equal(drained, 3000);
  });

  test("a TUN that was deleted says so", async (context) => {
    const at = harness(context);
    const tun = at.engine.openTun({ name: "gone0", offload: true });
    assert.equal(at.engine.takeErrors(tun.handle), null);
    ip("link", "del", "gone0");
    let code = "";
    await pump(
      at.engine,
      (handle, bits) => {
        assert.equal(handle, tun.handle);
        assert.ok((bits & READY.error) !== 0);
        code = at.engine.takeErrors(tun.handle)?.code ?? "";
      },
      () => code !== "",
    );
    assert.equal(code, "EBADFD");
    const gone = { count: 1, code: "EBADFD", icmp: null };
    assert.deepEqual(at.engine.takeErrorList(tun.handle, 5), [gone]);
  });
});

function listener(
  at: Harness,
  options: Parameters<Harness["engine"]["openSocket"]>[0],
  remote: string,
): number {
  const socket = at.engine.openSocket(options);
  at.engine.connectSocket(socket, remote, 7000);
  return socket;
}
