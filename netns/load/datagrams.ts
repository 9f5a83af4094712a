/**
 * Plain packets of a kind, numbered and with known content, to see what a network does to them. Two
 * processes:
 *
 *   node datagrams.js send raw|udp SOURCE NUMBER HOST COUNT OCTETS PACKETS_PER_SECOND [SECONDS]
 *   node datagrams.js receive raw|udp ADDRESS NUMBER
 *
 * NUMBER is the IP protocol or the UDP port, OCTETS those behind the IP (and UDP) header. Both bind to
 * an address. The sender ends after SECONDS however many are left, and prints how many the kernel took; the receiver `listening`, and on SIGTERM a
 * line of JSON.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Arena } from "../../src/core/arena.ts";
import { type Engine, type Handle, loadNative } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";

export interface DatagramsReceived {
  readonly received: number;
  /** Of these: with an octet that is not as it was sent. */
  readonly altered: number;
  /** Numbers of the first and the last one; -1 when none came. */
  readonly first: number;
  readonly last: number;
}

type Kind = "raw" | "udp";

/** Passes the socket filter, which knows messages by their first octet. */
const FIRST_OCTET = TYPE.data << 4;
const CONTENT = 0x5a;
const NUMBER_AT = 4;
const CONTENT_AT = 8;
const SLOTS = 256;
/** Packets that are sent in a row before the clock is looked at. */
const STEP_MS = 5;

const arena = new Arena(SLOTS);
const engine: Engine = loadNative().createEngine(arena.memory, arena.slotCount);

function open(kind: Kind, source: string, number: number, isReceiver: boolean): Handle {
  const family = source.includes(":") ? 6 : 4;
  if (kind === "raw") return engine.openSocket({ kind, family, source, protocol: number });
  return engine.openSocket({ kind, family, source, port: isReceiver ? number : 0 });
}

async function send([kind, source, number, host, ...rest]: readonly string[]): Promise<void> {
  const [count = 0, octets = 0, perSecond = 1, seconds = Number.POSITIVE_INFINITY] =
    rest.map(Number);
  const socket = open(kind as Kind, source ?? "", Number(number), false);
  engine.connectSocket(socket, host ?? "", kind === "raw" ? 0 : Number(number));
  const message = Buffer.alloc(octets, CONTENT);
  message.fill(FIRST_OCTET, 0, NUMBER_AT);
  const slot = arena.take();
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  let [made, taken] = [0, 0];
  while (made < count && performance.now() < endMs) {
    for (let nowMs = performance.now(); made < count && nowMs < endMs; nowMs = performance.now()) {
      if (made > ((nowMs - startMs) * perSecond) / 1_000) break;
      message.writeUInt32BE(made, NUMBER_AT);
      arena.write(slot, message);
      if (engine.sendPlain(socket, slot, null)) taken += 1;
      made += 1;
    }
    await sleep(STEP_MS);
  }
  engine.destroy();
  console.log(taken);
}

function receive([kind, address, number]: readonly string[]): void {
  const socket = open(kind as Kind, address ?? "", Number(number), true);
  const batch = new Int32Array(SLOTS);
  arena.fill(batch, 0, SLOTS);
  let [received, altered, first, last] = [0, 0, -1, -1];
  engine.watch(new Int32Array(2 * 64), () => {
    const count = engine.receivePlain(socket, batch, SLOTS);
    for (const slot of batch.subarray(0, count)) {
      const start = arena.start[slot] as number;
      const octets = arena.octets.subarray(start, start + (arena.length[slot] as number));
      last = Buffer.from(octets).readUInt32BE(NUMBER_AT);
      if (first === -1) first = last;
      received += 1;
      if (octets.subarray(CONTENT_AT).some((octet) => octet !== CONTENT)) altered += 1;
    }
  });
  process.on("SIGTERM", () => {
    engine.destroy();
    console.log(JSON.stringify({ received, altered, first, last } satisfies DatagramsReceived));
    process.exit(0);
  });
  console.log("listening");
}

const [role, ...rest] = process.argv.slice(2);
if (role === "send") await send(rest);
else receive(rest);
