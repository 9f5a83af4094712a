/**
 * Values of the right type that a call may not take: options out of range, packets outside their slots, handles and
 * contexts that are closed, removed, given twice or too many.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena, SLOT_SIZE } from "../../src/core/arena.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { harness, KEYS, key, loopbackPair, native, preamble, put, transmitBy } from "./harness.ts";
import { inNamespace } from "./namespace.ts";

inNamespace(import.meta.filename, () => {
  test("options are checked one by one", (context) => {
    const { engine } = harness(context, 64);
    const open = engine.openSocket.bind(engine) as (options: unknown) => number;
    const udp = { kind: "udp", family: 4 };
    for (const change of [
      { kind: "sctp" },
      { kind: "raw" },
      { kind: "raw", protocol: 0 },
      { kind: "raw", protocol: 255 },
      { kind: "raw", protocol: 256 },
      { family: 5 },
      { family: "4" },
      { port: 65536 },
      { port: -1 },
      { source: "::1" },
      { source: "127.0.0.1\0" },
      { source: "localhost" },
      { device: "" },
      { device: "sixteen-letters-" },
      { mark: -1 },
      { mark: 2 ** 32 },
      { hopLimit: 0 },
      { hopLimit: 256 },
      { bufferBytes: 0 },
      { segmentation: 1 },
      { arrivalHopLimit: 0 },
    ]) {
      assert.throws(() => open({ ...udp, ...change }), TypeError, JSON.stringify(change));
    }
    const tun = engine.openTun.bind(engine) as (options: unknown) => unknown;
    for (const options of [
      {},
      { name: "a" },
      { name: "", offload: true },
      { name: "sixteen-letters-", offload: true },
    ]) {
      assert.throws(() => tun(options), TypeError, JSON.stringify(options));
    }
    const receive = { ...KEYS, context: 1, transmits: [0, 0, 0] as const };
    for (const change of [
      { suite: 2 },
      { dataTag: 9 },
      { linkNumber: 256 },
      { data: new Uint8Array(31) },
      { control: "key" },
      { context: -1 },
      { transmits: [99, 0, 0] },
      { transmits: [0, 0] },
      { transmits: [0, 0, 0, 0] },
      { transmits: [0, 0, -1] },
      { transmits: 0 },
      { transmits: undefined },
      { dataSeq: -1 },
      { controlSeq: 2 ** 53 },
    ]) {
      const context = { ...receive, ...change } as typeof receive;
      assert.throws(() => engine.addReceive(1, context), TypeError, JSON.stringify(change));
    }
  });

  test("an exception of a getter comes through, and a getter may not cheat", (context) => {
    const { engine } = harness(context, 64);
    const trap = { ...KEYS };
    Object.defineProperty(trap, "data", {
      get() {
        throw new RangeError("from the getter");
      },
    });
    assert.throws(() => engine.addTransmit(trap), RangeError);
    let reads = 0;
    const cheat = { ...KEYS, suite: 1, dataTag: 16 };
    Object.defineProperty(cheat, "data", {
      get: () => (reads++ === 0 ? key(1) : new Uint8Array(1)),
    });
    assert.throws(() => engine.addTransmit(cheat), TypeError);
  });

  test("a packet outside its slot is refused before anything is sent or written", (context) => {
    const { arena, engine } = harness(context, 64);
    const { server, client } = loopbackPair(engine, "udp", 4);
    const tun = engine.openTun({ name: "bounds0", offload: true }).handle;
    const transmit = transmitBy(engine, client);
    const last = 63;
    // biome-ignore format: a table reads in columns
    const places: [slot: number, start: number, length: number][] = [
      [1,    0,                             100],
      [1,    SLOT_SIZE - 1,                 100],
      [1,    2 * SLOT_SIZE,                 8],
      [1,    2 * SLOT_SIZE - 8,             9],
      [1,    SLOT_SIZE + 64,                SLOT_SIZE],
      [1,    SLOT_SIZE + 64,                0xffff_ffff],
      [1,    0xffff_ffff,                   1],
      [1,    0xffff_ffff,                   0xffff_ffff],
      [last, last * SLOT_SIZE + 2040,       9],
    ];
    for (const [slot, start, length] of places) {
      put(arena, 0, preamble(TYPE.data, 0, 1, 1));
      arena.start[slot] = start;
      arena.length[slot] = length;
      const batch = Int32Array.of(0, slot);
      assert.throws(() => engine.send(transmit, batch, 2), TypeError);
      assert.throws(() => engine.writeTun(tun, batch, 2), TypeError);
      assert.throws(() => engine.sendPlain(client, slot, null), TypeError);
    }
    const free = Int32Array.of(5);
    assert.equal(engine.receivePlain(server, free, 1), 0, "nothing was sent");
    arena.start[1] = 2 * SLOT_SIZE - 100;
    arena.length[1] = 85;
    arena.octets[arena.start[1] as number] = 0x90;
    assert.throws(() => engine.send(transmit, Int32Array.of(1), 1), TypeError, "no room for a tag");
  });

  test("a packet without a class, a key or a sequence number is not sealed", (context) => {
    const { arena, engine } = harness(context, 64);
    const { client } = loopbackPair(engine, "udp", 4);
    const { control: _, ...keys } = KEYS;
    const transmit = transmitBy(engine, client, keys);
    const send = () => engine.send(transmit, Int32Array.of(0), 1);
    for (const type of [0, 1, 2, 3, TYPE.feedback, TYPE.control, 10, 11, 15]) {
      put(arena, 0, preamble(type, 0, 1, 1));
      assert.throws(send, TypeError, `type ${type}`);
    }
    put(arena, 0, preamble(TYPE.data, 0, 1, 1).subarray(0, 7));
    assert.throws(send, TypeError, "shorter than a preamble");
    put(arena, 0, preamble(TYPE.data, 4, 1, 1));
    assert.throws(send, TypeError, "shorter than its order fields");
    for (const seq of [-1, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      put(arena, 0, preamble(TYPE.data, 0, 1, 1), seq);
      assert.throws(send, TypeError, `sequence ${seq}`);
    }
  });

  test("a path that does not fit its socket is refused", (context) => {
    const { arena, engine } = harness(context, 64);
    const { client } = loopbackPair(engine, "udp", 4);
    const transmit = engine.addTransmit(KEYS);
    put(arena, 0, preamble(TYPE.data, 0, 1, 1));
    for (const [family, transport] of [
      [6, 1],
      [4, 0],
      [5, 1],
      [4, 2],
      [0, 0],
    ] as const) {
      const path = new Uint8Array(40);
      path.set([family, transport]);
      assert.throws(() => engine.setPath(transmit, client, path), TypeError);
      assert.throws(() => engine.sendPlain(client, 0, path), TypeError);
    }
  });

  test("a link id, a client id and a token's link are given once", (context) => {
    const { engine } = harness(context, 64);
    const receive = { ...KEYS, context: 1, transmits: [0, 0, 0] as const };
    engine.addReceive(1, receive);
    assert.throws(() => engine.addReceive(1, receive), TypeError);
    engine.removeReceive(1);
    engine.removeReceive(1);
    engine.addReceive(1, receive);
    engine.addClient(new Uint8Array(8), key(1), 1);
    assert.throws(() => engine.addClient(new Uint8Array(8), key(1), 1), TypeError);
    engine.addReset(1, new Uint8Array(16), 1);
    assert.throws(() => engine.addReset(1, new Uint8Array(16), 1), TypeError);
  });

  test("a closed handle and a removed context are refused", (context) => {
    const { arena, engine } = harness(context, 64);
    const { server, client } = loopbackPair(engine, "udp", 4);
    engine.close(server);
    assert.throws(() => engine.close(server), TypeError);
    assert.throws(() => engine.receive(server, Int32Array.of(0), 1), TypeError);
    const transmit = transmitBy(engine, client);
    engine.removeTransmit(transmit);
    put(arena, 0, preamble(TYPE.data, 0, 1, 1));
    assert.throws(() => engine.send(transmit, Int32Array.of(0), 1), TypeError);
    const tun = engine.openTun({ name: "kind0", offload: false }).handle;
    assert.throws(() => engine.receive(tun, Int32Array.of(0), 1), TypeError);
    assert.throws(() => engine.readTun(client, Int32Array.of(0), 1), TypeError);
  });

  test("handles and contexts have an end, and it is an Error", (context) => {
    const { engine } = harness(context, 64);
    const codes = { handles: "", resets: "" };
    try {
      for (let index = 0; index < 300; index += 1) engine.openSocket({ kind: "udp", family: 4 });
    } catch (error) {
      codes.handles = (error as NodeJS.ErrnoException).code ?? "";
    }
    try {
      for (let link = 0; link < 70_000; link += 1) engine.addReset(link, new Uint8Array(16), 1);
    } catch (error) {
      codes.resets = (error as NodeJS.ErrnoException).code ?? "";
    }
    assert.deepEqual(codes, { handles: "EMFILE", resets: "ENOSPC" });
  });

  test("an engine whose memory was detached, or that was destroyed, does nothing any more", () => {
    for (const end of ["detached", "destroyed"]) {
      const arena = new Arena(64);
      const engine = native.createEngine(arena.memory, 64);
      const { server, client } = loopbackPair(engine, "udp", 4);
      const transmit = transmitBy(engine, client);
      if (end === "destroyed") engine.destroy();
      else structuredClone(arena.memory, { transfer: [arena.memory] });
      const batch = Int32Array.of(0);
      assert.throws(() => engine.receive(server, batch, 1), TypeError);
      assert.throws(() => engine.send(transmit, batch, 1), TypeError);
      assert.throws(() => engine.setTimer(1), TypeError);
      assert.throws(() => engine.watch(new Int32Array(128), () => {}), TypeError);
      assert.throws(() => engine.openSocket({ kind: "udp", family: 4 }), TypeError);
      engine.destroy();
      engine.destroy();
      assert.ok(engine.nowUs() > 0);
    }
  });
});
