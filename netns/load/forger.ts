/**
 * Puts packets on a provider's network as they are, whatever source they name:
 *
 *   node forger.js [PACKETS_PER_SECOND SECONDS] < whole IP packets, one a line, as hexadecimal digits
 *
 * They come out of a TUN device into the forwarding of the namespace it runs in: each once, or at a rate again and
 * again. Prints how many the kernel took.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena } from "../../src/core/arena.ts";
import { type Engine, type Handle, loadNative } from "../../src/native/native.ts";

const DEVICE = "forge";
const BATCH = 64;
/** The kernel's queue behind a TUN device holds a thousand packets. */
const PAUSE_MS = 5;
const BURST_MAX = 512;
/** Forwarding is done long before, but the device takes its routes and packets with it. */
const LINGER_MS = 50;

const arena = new Arena(BATCH);
const slots = Int32Array.from({ length: BATCH }, () => arena.take());

/** `count` packets from the `first` on, and from the beginning again behind the last. */
function write(
  engine: Engine,
  handle: Handle,
  packets: readonly Buffer[],
  first: number,
  count: number,
): number {
  for (let index = 0; index < count; index += 1) {
    const packet = packets[(first + index) % packets.length] as Buffer;
    arena.write(slots[index] as number, packet);
  }
  return engine.writeTun(handle, slots, count);
}

async function once(engine: Engine, handle: Handle, packets: readonly Buffer[]): Promise<number> {
  let written = 0;
  for (let at = 0; at < packets.length; at += BATCH) {
    written += write(engine, handle, packets, at, Math.min(BATCH, packets.length - at));
    await sleep(PAUSE_MS);
  }
  return written;
}

async function steadily(
  engine: Engine,
  handle: Handle,
  packets: readonly Buffer[],
  perSecond: number,
  seconds: number,
): Promise<number> {
  const startMs = performance.now();
  let [made, written] = [0, 0];
  for (;;) {
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs >= seconds * 1_000) return written;
    let due = Math.min(Math.floor((elapsedMs * perSecond) / 1_000) - made, BURST_MAX);
    for (; due > 0; due -= BATCH) {
      const count = Math.min(BATCH, due);
      written += write(engine, handle, packets, made, count);
      made += count;
    }
    await sleep(PAUSE_MS);
  }
}

const lines = readFileSync(0, "utf8").trim().split("\n");
const packets = lines.filter((line) => line !== "").map((line) => Buffer.from(line, "hex"));
const [perSecond, seconds] = process.argv.slice(2).map(Number);
const engine = loadNative().createEngine(arena.memory, arena.slotCount);
const { handle } = engine.openTun({ name: DEVICE, offload: false });
execFileSync("ip", ["link", "set", DEVICE, "up"]);
const written =
  perSecond === undefined || seconds === undefined
    ? await once(engine, handle, packets)
    : await steadily(engine, handle, packets, perSecond, seconds);
await sleep(LINGER_MS);
engine.destroy();
console.log(written);
