/**
 * What the tests of the addon share: an engine with its arena, keys, messages sealed by an
 * independent implementation (`node:crypto`), and network namespaces that go away again.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createCipheriv, createHmac } from "node:crypto";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
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

/** Set in the process that runs a test file inside a network namespace of its own. */
const INSIDE = "MPFWD_TEST_INSIDE";

/**
 * Defines tests that open sockets and devices: the file runs once more in a process with a network
 * namespace of its own, loopback up, which ends with the process.
 */
export function inNamespace(file: string, define: () => void): void {
  if (process.env[INSIDE] === file) {
    define();
    return;
  }
  const skip = process.getuid?.() === 0 ? false : "needs root for a network namespace";
  test("in a network namespace of its own", { skip, timeout: 300_000 }, () => {
    const command = 'ip link set lo up && exec "$0" --enable-source-maps --test-reporter=tap "$1"';
    const env: NodeJS.ProcessEnv = { ...process.env, [INSIDE]: file };
    // Otherwise the inner run would report to the outer one's test runner in its binary form.
    delete env["NODE_TEST_CONTEXT"];
    const args = ["-n", "sh", "-c", command, process.execPath, file];
    const run = spawnSync("unshare", args, { env, encoding: "utf8", maxBuffer: 1 << 26 });
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /^# pass [1-9]/m, "the inner run ran tests");
  });
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

/**
 * Another network namespace, loopback up. Held by a process that ends when this one does, so that
 * nothing is left behind whatever happens; returns that process's id.
 */
export async function peerNamespace(context: TestContext): Promise<number> {
  const holder = spawn("unshare", ["-n", "sh", "-c", "ip link set lo up; echo up; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  context.after(() => holder.stdin.end());
  await once(holder.stdout, "data");
  return holder.pid as number;
}

/** A command inside the namespace of `peerNamespace`. */
export function inPeer(pid: number, ...command: string[]): string[] {
  return ["nsenter", `--net=/proc/${pid}/ns/net`, ...command];
}

export function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/**
 * Gives `device` an IPv6 address and waits until packets to it arrive: the kernel puts the local
 * route in from a worker (addrconf_dad_work), which on a busy machine comes after `ip` has returned.
 */
export function addAddress6(address: string, bits: number, device: string): void {
  ip("address", "replace", `${address}/${bits}`, "dev", device, "nodad");
  const end = Date.now() + SOON_US / 1000;
  while (!ip("-6", "route", "get", address).startsWith("local ")) {
    assert.ok(Date.now() < end, `${address} has no local route`);
  }
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
