/** Every method refuses everything that is not what it wants, in every place: a TypeError, and nothing done. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { Arena } from "../../src/core/arena.ts";
import { type Prefix, parseAddress } from "../../src/core/prefix.ts";
import { encodeRouteQuestion } from "../../src/io/rtnetlink.ts";
import type { Engine } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { harness, KEYS, key, loopbackPair, native, preamble, put, transmitBy } from "./harness.ts";
import { inNamespace } from "./namespace.ts";

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
    const transmit = transmitBy(engine, client);
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
