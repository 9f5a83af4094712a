/** How many TCP connections a client may hold at a Remote Portal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PATH_OCTETS } from "../../src/core/arena.ts";
import { SECOND } from "../../src/core/time.ts";
import type { Engine } from "../../src/native/native.ts";
import { Listeners } from "../../src/portal/listeners.ts";

const LISTENER = 1;

/** A kernel that is made up, at which one connection a call waits. */
function scene() {
  const open = new Set<number>();
  let newest = LISTENER;
  let waiting = 0;
  const engine = {
    openSocket: () => LISTENER,
    listenSocket() {},
    acceptSocket: () => {
      if (waiting === 0) return null;
      waiting -= 1;
      newest += 1;
      open.add(newest);
      return { handle: newest, path: new Uint8Array(PATH_OCTETS) };
    },
    close: (handle: number) => open.delete(handle),
    nowUs: () => 0,
  } as unknown as Engine;
  const listeners = new Listeners(engine, { info() {}, warn() {}, error() {} });
  const target = { transport: "tcp", family: 4, port: 5253, protocol: 253 } as const;
  listeners.open({ ...target, segmentation: false }, true);
  const gone: number[] = [];
  /** A connection by which a message of the link with this receive context comes. */
  const speak = (nowUs: number, link: number) => {
    waiting = 1;
    listeners.accept(nowUs, LISTENER);
    listeners.confirm(nowUs, newest, link);
    listeners.tick(nowUs, (handle) => gone.push(handle));
    return newest;
  };
  return { listeners, open, gone, speak };
}

test("a link that speaks by ever more connections keeps its own and the two newest", () => {
  const { listeners, open, gone, speak } = scene();
  const own = speak(0, 7);
  listeners.settle(own);
  const another = speak(0, 8);
  const more = Array.from({ length: 100 }, () => speak(SECOND, 7));
  assert.deepEqual([...open], [own, another, ...more.slice(-2)]);
  assert.deepEqual(gone, more.slice(0, -2));
});

test("the connection that a link settles on is the only one it keeps, however many there were", () => {
  const { listeners, open, speak } = scene();
  for (let count = 0; count < 10; count += 1) speak(0, 7);
  const chosen = speak(0, 7);
  listeners.settle(chosen);
  listeners.tick(0, () => {});
  assert.deepEqual([...open], [chosen]);
});
