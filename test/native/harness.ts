/**
 * What the tests of the addon share: an engine with its arena, sockets and contexts, keys, and messages sealed by an
 * independent implementation (`node:crypto`).
 */
import assert from "node:assert/strict";
import { createCipheriv, createHmac } from "node:crypto";
import type { TestContext } from "node:test";
import { Arena, SLOT_HEADROOM, SLOT_SIZE } from "../../src/core/arena.ts";
import {
  COUNTER,
  type ContextKeys,
  type Engine,
  loadNative,
  SUITE,
} from "../../src/native/native.ts";

export const native = loadNative();

export interface Harness {
  readonly arena: Arena;
  readonly engine: Engine;
}

/** An engine that is destroyed when the test ends. */
export function harness(context: TestContext, slotCount = 2048): Harness {
  const arena = new Arena(slotCount);
  const engine = native.createEngine(arena.memory, slotCount);
  context.after(() => engine.destroy());
  return { arena, engine };
}

export function key(seed: number): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, index) => (seed * 31 + index * 7) & 0xff);
}

export const KEYS: ContextKeys = {
  suite: SUITE.hmacSha256,
  dataTag: 10,
  linkNumber: 3,
  data: key(1),
  control: key(2),
  attach: key(3),
  handshake: key(4),
};

export const GCM_KEYS: ContextKeys = { ...KEYS, suite: SUITE.aes128Gcm, dataTag: 16 };

export function preamble(type: number, flags: number, linkId: number, seq: number): Uint8Array {
  const octets = new Uint8Array(8);
  const view = new DataView(octets.buffer);
  view.setUint32(0, ((type << 28) | (flags << 24) | linkId) >>> 0);
  view.setUint32(4, seq % 0x1_0000_0000);
  return octets;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** HMAC-SHA256 over upper half and message, by node:crypto. */
export function tagOf(macKey: Uint8Array, seq: number, message: Uint8Array, octets: number) {
  const upper = Buffer.alloc(4);
  upper.writeUInt32BE(Math.floor(seq / 0x1_0000_0000));
  const digest = createHmac("sha256", macKey).update(upper).update(message).digest();
  return Uint8Array.from(digest.subarray(0, octets));
}

export function sealed(macKey: Uint8Array, seq: number, message: Uint8Array, octets: number) {
  return concat(message, tagOf(macKey, seq, message, octets));
}

/** AES-128-GCM by node:crypto: header, ciphertext, tag. */
export function gcmSealed(
  keys: ContextKeys,
  seq: number,
  header: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(keys.linkNumber, 0);
  nonce.writeBigUInt64BE(BigInt(seq), 4);
  const cipher = createCipheriv("aes-128-gcm", (keys.data ?? key(0)).subarray(0, 16), nonce);
  cipher.setAAD(header);
  const octets = Buffer.concat([cipher.update(payload), cipher.final()]);
  return concat(header, octets, cipher.getAuthTag());
}

/** Puts octets into a slot behind the headroom. */
export function put(arena: Arena, slot: number, octets: Uint8Array, seq = 0): void {
  assert.ok(octets.length <= SLOT_SIZE - SLOT_HEADROOM);
  arena.start[slot] = slot * SLOT_SIZE + SLOT_HEADROOM;
  arena.length[slot] = octets.length;
  arena.octets.set(octets, slot * SLOT_SIZE + SLOT_HEADROOM);
  arena.seq[slot] = seq;
}

export function slots(arena: Arena, count: number): Int32Array {
  const batch = new Int32Array(count);
  assert.equal(arena.fill(batch, 0, count), count);
  return batch;
}

export function giveAll(arena: Arena, batch: Int32Array): void {
  for (const slot of batch) arena.give(slot);
}

/** Sends octets as they are from one socket. */
export function sendOctets(at: Harness, socket: number, octets: Uint8Array): void {
  const [slot] = slots(at.arena, 1) as unknown as [number];
  put(at.arena, slot, octets);
  assert.equal(at.engine.sendPlain(socket, slot, null), true);
  at.arena.give(slot);
}

/** How long loopback packets may take under load, microseconds. */
const SOON_US = 2_000_000;

/** Receives until `count` slots of `batch` hold a packet; returns how many do. Plain: unopened. */
export function receiveSoon(
  at: Harness,
  handle: number,
  batch: Int32Array,
  count: number,
  plain = false,
): number {
  const endUs = at.engine.nowUs() + SOON_US;
  let got = 0;
  do {
    const rest = batch.subarray(got);
    got += plain
      ? at.engine.receivePlain(handle, rest, count - got)
      : at.engine.receive(handle, rest, count - got);
  } while (got < count && at.engine.nowUs() < endUs);
  return got;
}

export type CounterName = keyof typeof COUNTER;

export function counted(arena: Arena, name: CounterName): number {
  return arena.counters[COUNTER[name]] as number;
}

/** The reasons with a count, for a failure message that says what happened. */
export function countersText(arena: Arena): string {
  const names = Object.keys(COUNTER) as CounterName[];
  const used = names.filter((name) => counted(arena, name) > 0);
  return used.map((name) => `${name} ${counted(arena, name)}`).join(", ");
}

/** Every kind of socket that carries packets, over both families. */
export const KINDS = [
  ["raw", 4],
  ["raw", 6],
  ["udp", 4],
  ["udp", 6],
] as const;

/** Two sockets on the loopback: what the second sends the first receives. */
export function loopbackPair(
  engine: Engine,
  kind: "raw" | "udp",
  family: 4 | 6,
  protocol = 253,
): { server: number; client: number } {
  const source = family === 4 ? "127.0.0.1" : "::1";
  const server = engine.openSocket({ kind, family, protocol, source });
  const client = engine.openSocket({ kind, family, protocol, source });
  engine.connectSocket(client, source, engine.localAddress(server).port);
  return { server, client };
}

/** A transmit context that sends by a connected socket. */
export function transmitBy(engine: Engine, handle: number, keys = KEYS): number {
  const transmit = engine.addTransmit(keys);
  engine.setPath(transmit, handle, null);
  return transmit;
}

/** Watches until `done`; fails after ten seconds. */
export function pump(
  engine: Engine,
  onReady: (handle: number, events: number) => void,
  done: () => boolean,
): Promise<void> {
  const ready = new Int32Array(128);
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => finish(new Error("nothing more became ready")), 10_000);
    const finish = (error?: Error) => {
      clearTimeout(limit);
      engine.unwatch();
      if (error === undefined) resolve();
      else reject(error);
    };
    engine.watch(ready, (count) => {
      for (let index = 0; index < count; index += 1) {
        onReady(ready[2 * index] as number, ready[2 * index + 1] as number);
      }
      if (done()) finish();
    });
  });
}
