/** Raw and UDP sockets: the paths they tell and answer by, their filter, their options, what the kernel refuses. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { pathText } from "../../src/core/path.ts";
import { INFO_HOP_LIMIT_SHIFT, INFO_SOURCE_DIFFERS } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  countersText,
  giveAll,
  harness,
  KEYS,
  KINDS,
  loopbackPair,
  preamble,
  put,
  sendOctets,
  slots,
  transmitBy,
} from "./harness.ts";
import { addAddress6, inNamespace, ip } from "./namespace.ts";

const LINK = 0x1234;

inNamespace(import.meta.filename, () => {
  for (const [kind, family] of KINDS) {
    test(`${kind} over IPv${family}: an unconnected socket says where packets came from, and answers there`, (context) => {
      const at = harness(context);
      const server = at.engine.openSocket({ kind, family, protocol: 253 });
      const [near, far] = family === 4 ? ["127.0.0.5", "127.0.0.9"] : ["fd00::5", "fd00::9"];
      if (family === 6) for (const one of [near, far]) addAddress6(one, 128, "lo");
      const client = at.engine.openSocket({ kind, family, protocol: 253, source: near });
      at.engine.connectSocket(client, far, at.engine.localAddress(server).port);
      const message = concat(preamble(TYPE.init, 0, 0, 1), new Uint8Array(30).fill(7));
      sendOctets(at, client, message);
      const batch = slots(at.arena, 1);
      const [slot] = batch as unknown as [number];
      assert.equal(at.engine.receivePlain(server, batch, 1), 1);
      assert.deepEqual(at.arena.read(slot), message);
      const path = at.arena.paths.slice(slot * 40, slot * 40 + 40);
      const port = at.engine.localAddress(client).port;
      const expected =
        kind === "raw" ? near : family === 4 ? `${near}:${port}` : `[${near}]:${port}`;
      assert.equal(pathText(path), expected);
      const local = path.slice();
      local.set(path.subarray(24), 8);
      assert.equal(pathText(local).includes(far), true, "the address it arrived at");

      // Connected to `far`, the client hears the answer only if it leaves from there.
      assert.equal(at.engine.sendPlain(server, slot, path), true);
      assert.equal(at.engine.receivePlain(client, batch, 1), 1, "sendPlain answers from there");
      const transmit = at.engine.addTransmit(KEYS);
      at.engine.setPath(transmit, server, path);
      put(at.arena, slot, concat(preamble(TYPE.data, 0, LINK, 1), new Uint8Array(20)), 1);
      assert.equal(at.engine.send(transmit, batch, 1), 1);
      assert.equal(at.engine.receivePlain(client, batch, 1), 1, "send answers from there");
    });
  }

  test("a source that is not the transmit path is marked", (context) => {
    const at = harness(context);
    const server = at.engine.openSocket({ kind: "udp", family: 4, source: "127.0.0.1" });
    const { port } = at.engine.localAddress(server);
    const clients = [1, 2].map(() => {
      const client = at.engine.openSocket({ kind: "udp", family: 4, source: "127.0.0.1" });
      at.engine.connectSocket(client, "127.0.0.1", port);
      const transmit = transmitBy(at.engine, client);
      return { client, transmit };
    });
    const [first, second] = clients as [(typeof clients)[0], (typeof clients)[0]];
    const back = at.engine.addTransmit(KEYS);
    at.engine.addReceive(LINK, { ...KEYS, context: 3, transmits: [0, back, 0] });
    const infoOf = (transmit: number, seq: number) => {
      const batch = slots(at.arena, 1);
      const [slot] = batch as unknown as [number];
      put(at.arena, slot, concat(preamble(TYPE.data, 0, LINK, seq), Uint8Array.of(1)), seq);
      at.engine.send(transmit, batch, 1);
      assert.equal(at.engine.receive(server, batch, 1), 1, countersText(at.arena));
      giveAll(at.arena, batch);
      return { info: at.arena.info[slot], path: at.arena.paths.slice(slot * 40, slot * 40 + 40) };
    };
    const { info, path } = infoOf(first.transmit, 1);
    assert.equal(info, 0, "no path yet, nothing differs");
    at.engine.setPath(back, server, path);
    assert.equal(infoOf(first.transmit, 2).info, 0);
    assert.equal(infoOf(second.transmit, 3).info, INFO_SOURCE_DIFFERS);
    at.engine.setPath(back, second.client, null);
    assert.equal(infoOf(second.transmit, 4).info, INFO_SOURCE_DIFFERS, "another socket");
    at.engine.removeTransmit(back);
    assert.equal(infoOf(second.transmit, 5).info, 0);
    assert.equal(at.engine.addTransmit(KEYS), back, "the number is given again");
    at.engine.setPath(back, first.client, null);
    assert.equal(infoOf(second.transmit, 6).info, 0, "but to nobody's link");
  });

  test("the filter drops in the kernel what cannot be a message", (context) => {
    const at = harness(context);
    for (const [kind, family] of KINDS) {
      const { server, client } = loopbackPair(at.engine, kind, family);
      const batch = slots(at.arena, 4);
      for (let type = 0; type < 16; type += 1) {
        const octets = concat(Uint8Array.of(type << 4), new Uint8Array(15));
        sendOctets(at, client, octets);
        sendOctets(at, client, octets.subarray(0, 15));
        const expected = type >= 1 && type <= 10 ? 1 : 0;
        const got = at.engine.receivePlain(server, batch, 4);
        assert.equal(got, expected, `${kind} ${family}, type ${type}`);
      }
      giveAll(at.arena, batch);
      at.engine.close(server);
      at.engine.close(client);
    }
    assert.equal(counted(at.arena, "truncated") + counted(at.arena, "badType"), 0);
  });

  for (const [kind, family] of KINDS) {
    test(`${kind} over IPv${family} never fragments`, (context) => {
      const at = harness(context);
      const { server, client } = loopbackPair(at.engine, kind, family);
      const overhead = (family === 4 ? 20 : 40) + (kind === "udp" ? 8 : 0);
      context.after(() => ip("link", "set", "lo", "mtu", "65536"));
      ip("link", "set", "lo", "mtu", "1300");
      const batch = slots(at.arena, 1);
      const [slot] = batch as unknown as [number];
      put(at.arena, slot, concat(Uint8Array.of(0x90), new Uint8Array(1299 - overhead)));
      assert.equal(at.engine.sendPlain(client, slot, null), true, countersText(at.arena));
      assert.equal(at.engine.receivePlain(server, batch, 1), 1);
      put(at.arena, slot, concat(Uint8Array.of(0x90), new Uint8Array(1300 - overhead)));
      assert.equal(at.engine.sendPlain(client, slot, null), false);
      assert.equal(counted(at.arena, "sendTooBig"), 1);
    });
  }

  test("options reach the kernel", (context) => {
    const at = harness(context);
    const server = at.engine.openSocket({
      kind: "udp",
      family: 6,
      source: "::1",
      port: 5253,
      device: "lo",
      mark: 0xfedcba98,
      hopLimit: 7,
    });
    assert.deepEqual(at.engine.localAddress(server), { address: "::1", port: 5253 });
    const text = execFileSync("ss", ["-uanme", "sport", "=", ":5253"], { encoding: "utf8" });
    // The kernel doubles what was asked for (socket(7)).
    assert.match(text, /rb16777216/);
    assert.match(text, /tb16777216/);
    assert.match(text, /fwmark:0xfedcba98/);
    assert.match(text, /%lo/);
  });

  for (const [kind, family] of KINDS) {
    test(`${kind} over IPv${family}: the hop limit is set, the traffic class arrives`, (context) => {
      const at = harness(context);
      const [header, field] = family === 4 ? ["ip", "ttl"] : ["ip6", "hoplimit"];
      const rules = `
        table inet marks {
          chain out { type filter hook output priority mangle; ${header} dscp set 46; }
          chain in { type filter hook input priority filter; ${header} ${field} != 7 drop; }
        }`;
      context.after(() => execFileSync("nft", ["delete table inet marks"]));
      execFileSync("nft", ["-f", "-"], { input: rules });
      const source = family === 4 ? "127.0.0.1" : "::1";
      for (const connected of [true, false]) {
        const options = { kind, family, protocol: 253, source } as const;
        const server = at.engine.openSocket(options);
        const client = at.engine.openSocket({ ...options, hopLimit: 7 });
        const other = at.engine.openSocket(options);
        const { port } = at.engine.localAddress(server);
        for (const one of [client, other]) at.engine.connectSocket(one, source, port);
        if (connected) {
          at.engine.connectSocket(server, source, at.engine.localAddress(client).port);
        }
        const batch = slots(at.arena, 2);
        sendOctets(at, other, concat(Uint8Array.of(0x90), new Uint8Array(20)));
        sendOctets(at, client, concat(Uint8Array.of(0x90), new Uint8Array(30)));
        assert.equal(at.engine.receivePlain(server, batch, 2), 1);
        const [slot] = batch as unknown as [number];
        assert.equal(at.arena.length[slot], 31);
        // A raw IPv4 packet comes with its header, the others tell their hop limit when asked.
        const hops = kind === "raw" && family === 4 ? 7 : 0;
        assert.equal(at.arena.info[slot], (46 << 2) | (hops << INFO_HOP_LIMIT_SHIFT));
        for (const one of [server, client, other]) at.engine.close(one);
      }
    });
  }

  test("what the kernel refuses is an Error with code, errno and call", (context) => {
    const { engine } = harness(context);
    const failure = (code: string, syscall: string) => (error: Error & Record<string, unknown>) =>
      error["code"] === code && error["syscall"] === syscall && typeof error["errno"] === "number";
    const udp = { kind: "udp", family: 4 } as const;
    engine.openSocket({ ...udp, port: 6000 });
    assert.throws(() => engine.openSocket({ ...udp, port: 6000 }), failure("EADDRINUSE", "bind"));
    assert.throws(
      () => engine.openSocket({ ...udp, source: "192.0.2.77" }),
      failure("EADDRNOTAVAIL", "bind"),
    );
    assert.throws(
      () => engine.openSocket({ ...udp, device: "nowhere" }),
      failure("ENODEV", "SO_BINDTODEVICE"),
    );
    const client = engine.openSocket(udp);
    assert.throws(
      () => engine.connectSocket(client, "203.0.113.1", 1),
      failure("ENETUNREACH", "connect"),
    );
  });
});
