/** Whatever JavaScript passes: a TypeError, and nothing done. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { Arena, SLOT_SIZE } from "../../src/core/arena.ts";
import { type Prefix, parseAddress } from "../../src/core/prefix.ts";
import { encodeRouteQuestion } from "../../src/io/rtnetlink.ts";
import type { Engine } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { harness, inNamespace, KEYS, key, loopbackPair, native, preamble, put } from "./harness.ts";

/** Everything that is not what a method wants. */
const JUNK: unknown[] = [
  undefined,
  null,
  true,
  Number.NaN,
  -1,
  0.5,
  2 ** 53,
  1e300,
  Number.POSITIVE_INFINITY,
  12n,
  "",
  "text",
  "x".repeat(5000),
  "nul\0inside",
  Symbol("symbol"),
  {},
  [],
  () => 0,
  new Uint8Array(0),
  new Uint8Array(7),
  new Uint8Array(32),
  new Float64Array(4),
  new Int32Array(0),
  new Int32Array(4).fill(-1),
  new Int32Array(4).fill(64),
  new Int32Array(4).fill(0x7fff_ffff),
  new ArrayBuffer(64),
  new SharedArrayBuffer(64),
  new DataView(new ArrayBuffer(64)),
  new Proxy({}, {}),
];

type Method = (this: unknown, ...values: unknown[]) => unknown;
const methodsOf = (engine: Engine) => engine as unknown as Record<string, Method>;

/** Called without arguments these do their work. */
const PLAIN = ["nowUs", "unwatch", "destroy", "takeMangled", "sendFailure", "openMonitor"];

function detached(): Uint8Array {
  const octets = new Uint8Array(32);
  structuredClone(octets.buffer, { transfer: [octets.buffer] });
  return octets;
}

test("createEngine refuses every memory that is not laid out for its slots", () => {
  const create = native.createEngine as unknown as (...values: unknown[]) => unknown;
  const { memory } = new Arena(64);
  for (const junk of JUNK) {
    assert.throws(() => create(junk, 64), TypeError);
    assert.throws(() => create(memory, junk), TypeError);
  }
  for (const slotCount of [0, 1, 62, 63, 66, -64, 2 ** 31]) {
    assert.throws(() => create(memory, slotCount), TypeError);
  }
  assert.throws(() => create(), TypeError);
  structuredClone(memory, { transfer: [memory] });
  assert.throws(() => create(memory, 64), TypeError);
});

test("methods refuse to be called on something else", (context) => {
  const { engine } = harness(context, 64);
  for (const [name, method] of Object.entries(methodsOf(Object.getPrototypeOf(engine)))) {
    if (name === "nowUs" || typeof method !== "function") continue;
    for (const self of [
      undefined,
      null,
      1,
      {},
      native,
      new Proxy(engine, {}),
      Object.create(engine),
    ]) {
      assert.throws(() => Reflect.apply(method, self, [1, 2, 3]), TypeError, name);
    }
  }
  const call = engine.constructor as (...values: unknown[]) => unknown;
  assert.throws(() => call(new Arena(64).memory, 64), TypeError, "only with new");
});

inNamespace(import.meta.filename, () => {
  test("every method refuses junk in every place", (context) => {
    const { arena, engine } = harness(context, 64);
    const { server, client } = loopbackPair(engine, "udp", 4);
    const tun = engine.openTun({ name: "junk0", offload: true }).handle;
    const transmit = engine.addTransmit(KEYS);
    engine.setPath(transmit, client, null);
    const batch = Int32Array.of(0, 1);
    for (const slot of batch) put(arena, slot, preamble(TYPE.data, 0, 1, 1));
    const tcp = engine.openSocket({ kind: "tcp", family: 4 });
    engine.listenSocket(tcp, 1);
    const monitor = engine.openMonitor();
    const handles = new Set<unknown>([server, client, tun, tcp, monitor]);
    const good: Record<string, unknown[]> = {
      watch: [new Int32Array(128), () => {}],
      setInterest: [server, 1],
      setTimer: [5],
      openTun: [{ name: "a", offload: true }],
      readTun: [tun, batch, 2],
      writeTun: [tun, batch, 2],
      openSocket: [{ kind: "udp", family: 4 }],
      connectSocket: [client, "127.0.0.1", 5],
      listenSocket: [tcp, 5],
      acceptSocket: [tcp],
      localAddress: [server],
      bufferBytes: [server],
      receive: [server, batch, 2],
      receivePlain: [server, batch, 2],
      send: [transmit, batch, 2],
      sendPlain: [client, 0, null],
      setHopLimit: [server, 5],
      setArrivalHopLimit: [server, true],
      takeErrors: [server],
      takeErrorList: [server, 5],
      keepMangled: [false],
      tap: [null],
      readTap: [new Uint8Array(4096)],
      readMonitor: [monitor],
      askRoute: [encodeRouteQuestion({ to: parseAddress("127.0.0.1") as Prefix })],
      device: ["lo"],
      close: [server],
      addTransmit: [KEYS],
      setPath: [transmit, client, null],
      setTrafficClass: [transmit, 5],
      removeTransmit: [77],
      addReceive: [1, { ...KEYS, context: 1, transmits: [0, 0, 0] }],
      removeReceive: [2],
      addClient: [new Uint8Array(8), key(1), 1],
      removeClient: [new Uint8Array(8)],
      addReset: [1, new Uint8Array(16), 1],
      removeReset: [1],
    };
    let refused = 0;
    for (const [name, values] of Object.entries(good)) {
      const method = methodsOf(engine)[name] as Method;
      values.forEach((value, place) => {
        for (const junk of [...JUNK, detached()]) {
          if (isGood(name, value, junk, handles)) continue;
          const changed = values.with(place, junk);
          assert.throws(
            () => method.apply(engine, changed),
            TypeError,
            `${name} ${place} ${inspect(junk)}`,
          );
          refused += 1;
        }
      });
      assert.throws(() => method.apply(engine, []), TypeError, name);
    }
    assert.ok(refused > 1000);
    for (const name of Object.keys(methodsOf(Object.getPrototypeOf(engine)))) {
      const known = name in good || PLAIN.includes(name) || name === "watchNow";
      assert.ok(known, `${name} is tried here`);
    }
  });

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
    const transmit = engine.addTransmit(KEYS);
    engine.setPath(transmit, client, null);
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
    const transmit = engine.addTransmit(keys);
    engine.setPath(transmit, client, null);
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
    const transmit = engine.addTransmit(KEYS);
    engine.setPath(transmit, client, null);
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
      const transmit = engine.addTransmit(KEYS);
      engine.setPath(transmit, client, null);
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

/** Values of the list above that this place takes. */
function isGood(name: string, value: unknown, junk: unknown, handles: Set<unknown>): boolean {
  if (handles.has(junk)) return true;
  if (typeof junk === "function" && typeof value === "function") return true;
  if (typeof junk === "boolean" && typeof value === "boolean") return true;
  if (name === "setTimer") return typeof junk === "number" && !Number.isNaN(junk);
  if (junk === null && value === null) return true;
  if (name === "device") return junk === "text";
  if (value instanceof Uint8Array && junk instanceof Uint8Array)
    return junk.length === value.length;
  return false;
}
