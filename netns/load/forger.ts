/**
 * Puts packets on a provider's network as they are, whatever source they name:
 *
 *   node forger.js < whole IP packets, one a line, as hexadecimal digits
 *
 * They come out of a TUN device into the forwarding of the namespace it runs in. Prints how many the
 * kernel took.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena } from "../../src/core/arena.ts";
import { loadNative } from "../../src/native/native.ts";

const DEVICE = "forge";
const BATCH = 64;
/** The kernel's queue behind a TUN device holds a thousand packets. */
const PAUSE_MS = 5;
/** Forwarding is done long before, but the device takes its routes and packets with it. */
const LINGER_MS = 50;

const lines = readFileSync(0, "utf8").trim().split("\n");
const packets = lines.filter((line) => line !== "").map((line) => Buffer.from(line, "hex"));
const arena = new Arena(BATCH);
const engine = loadNative().createEngine(arena.memory, arena.slotCount);
const { handle } = engine.openTun({ name: DEVICE, offload: false });
execFileSync("ip", ["link", "set", DEVICE, "up"]);
const slots = Int32Array.from({ length: BATCH }, () => arena.take());
let written = 0;
for (let at = 0; at < packets.length; at += BATCH) {
  const some = packets.slice(at, at + BATCH);
  for (const [index, packet] of some.entries()) arena.write(slots[index] as number, packet);
  written += engine.writeTun(handle, slots, some.length);
  await sleep(PAUSE_MS);
}
await sleep(LINGER_MS);
engine.destroy();
console.log(written);
