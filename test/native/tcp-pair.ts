/** What the tests of TCP sockets share: connected pairs over the loopback, DATA messages, patience. */
import assert from "node:assert/strict";
import { Socket } from "node:net";
import type { TestContext } from "node:test";
import { READY, type SocketOptions } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  countersText,
  giveAll,
  type Harness,
  KEYS,
  preamble,
  pump,
  put,
  slots,
  transmitBy,
} from "./harness.ts";

export const LINK = 0x1234;
export const NO_TRANSMITS = [0, 0, 0] as const;
const LOOPBACK = { 4: "127.0.0.1", 6: "::1" } as const;

type Options = Omit<SocketOptions, "kind" | "family">;

export function listener(at: Harness, family: 4 | 6 = 4, options: Options = {}) {
  const source = LOOPBACK[family];
  const handle = at.engine.openSocket({ kind: "tcp", family, source, ...options });
  at.engine.listenSocket(handle, 256);
  return { handle, source, port: at.engine.localAddress(handle).port };
}

/** The next connection of a listener, when it comes. */
export async function accepted(at: Harness, handle: number) {
  let found = at.engine.acceptSocket(handle);
  if (found !== null) return found;
  await pump(
    at.engine,
    () => {
      found ??= at.engine.acceptSocket(handle);
    },
    () => found !== null,
  );
  return found as unknown as { handle: number; path: Uint8Array };
}

/** A connection: `client` opened it, `server` was accepted with `path`. */
export async function tcpPair(at: Harness, family: 4 | 6 = 4, options: Options = {}) {
  const listening = listener(at, family, options);
  const client = at.engine.openSocket({ kind: "tcp", family, ...options });
  at.engine.connectSocket(client, listening.source, listening.port);
  const { handle, path } = await accepted(at, listening.handle);
  await writable(at, client);
  at.engine.close(listening.handle);
  return { client, server: handle, path };
}

/** Until the socket says that it takes more; then its interest is in reading only again. */
export async function writable(at: Harness, handle: number): Promise<void> {
  at.engine.setInterest(handle, READY.readable | READY.writable);
  let seen = false;
  await pump(
    at.engine,
    (ready, events) => {
      seen ||= ready === handle && (events & READY.writable) !== 0;
    },
    () => seen,
  );
  at.engine.setInterest(handle, READY.readable);
}

/** Until `takeErrors` has something to say. */
export async function failure(at: Harness, handle: number) {
  let events = 0;
  await pump(
    at.engine,
    (ready, bits) => {
      if (ready !== handle) return;
      events |= bits;
    },
    () => (events & READY.error) !== 0,
  );
  const error = at.engine.takeErrors(handle);
  assert.ok(error !== null);
  return error;
}

/** A connection from `node:net`, which writes whatever it is told. */
export async function stranger(at: Harness, context: TestContext) {
  const { handle, source, port } = listener(at);
  const socket = new Socket();
  context.after(() => socket.destroy());
  socket.on("error", () => {});
  socket.setNoDelay(true);
  const connected = new Promise<void>((resolve) => socket.connect(port, source, resolve));
  const { handle: server } = await accepted(at, handle);
  await connected;
  at.engine.close(handle);
  return { socket, server };
}

/** A DATA message of so many octets, without a tag. */
export function message(seq: number, octets: number): Uint8Array {
  return concat(preamble(TYPE.data, 0, LINK, seq), new Uint8Array(octets - 8).fill(seq));
}

/** As it stands in the stream. */
export function framed(octets: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(octets.length >> 8, octets.length & 0xff), octets);
}

/** A transmit context on a socket, and a receive context that opens what it seals. */
export function context(at: Harness, socket: number, keys = KEYS): number {
  const transmit = transmitBy(at.engine, socket, keys);
  at.engine.addReceive(LINK, { ...keys, context: 3, transmits: NO_TRANSMITS });
  return transmit;
}

/** Sends what the socket takes; returns how many messages that were. */
export function send(at: Harness, transmit: number, messages: readonly Uint8Array[], from = 0) {
  const batch = slots(at.arena, messages.length);
  messages.forEach((octets, index) => {
    put(at.arena, batch[index] as number, octets, from + index);
  });
  const sent = at.engine.send(transmit, batch, messages.length);
  giveAll(at.arena, batch);
  return sent;
}

/** Receives until there are so many messages; gives copies of them. */
export async function collect(
  at: Harness,
  handle: number,
  count: number,
  { plain = false, capacity = 64 } = {},
): Promise<Uint8Array[]> {
  const got: Uint8Array[] = [];
  const batch = slots(at.arena, capacity);
  const take = () => {
    const wanted = Math.min(capacity, count - got.length);
    const receive = plain ? at.engine.receivePlain : at.engine.receive;
    const filled = receive.call(at.engine, handle, batch, wanted);
    for (const slot of batch.subarray(0, filled)) got.push(at.arena.read(slot));
  };
  take();
  if (got.length < count) {
    await pump(
      at.engine,
      (ready) => {
        if (ready === handle) take();
      },
      () => got.length >= count,
    ).catch((cause: unknown) => {
      throw new Error(`${got.length} of ${count} came: ${countersText(at.arena)}`, { cause });
    });
  }
  giveAll(at.arena, batch);
  return got;
}
