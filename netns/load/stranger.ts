/**
 * Sends messages as they are to a portal, as somebody who has no key:
 *
 *   node stranger.js raw|udp HOST < messages, one a line, as hexadecimal digits
 *
 * Prints how many were handed to the kernel.
 */
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { Arena } from "../../src/core/arena.ts";
import { loadNative } from "../../src/native/native.ts";
import { DEFAULT_PORT, DEFAULT_PROTOCOL } from "../../src/portal/config.ts";

const SLOTS = 16;

function sendRaw(host: string, messages: readonly Buffer[]): number {
  const arena = new Arena(SLOTS);
  const engine = loadNative().createEngine(arena.memory, arena.slotCount);
  const socket = engine.openSocket({ kind: "raw", family: 4, protocol: DEFAULT_PROTOCOL });
  engine.connectSocket(socket, host, 0);
  const slot = arena.take();
  const sent = messages.filter((message) => {
    arena.write(slot, message);
    return engine.sendPlain(socket, slot, null);
  });
  engine.destroy();
  return sent.length;
}

async function sendUdp(host: string, messages: readonly Buffer[]): Promise<number> {
  const socket = createSocket("udp4");
  for (const message of messages) {
    await new Promise<void>((resolve, reject) => {
      const done = (error: Error | null) => (error === null ? resolve() : reject(error));
      socket.send(message, DEFAULT_PORT, host, done);
    });
  }
  socket.close();
  return messages.length;
}

const [transport, host = ""] = process.argv.slice(2);
const lines = readFileSync(0, "utf8").trim().split("\n");
const messages = lines.map((line) => Buffer.from(line, "hex"));
console.log(transport === "raw" ? sendRaw(host, messages) : await sendUdp(host, messages));
