/**
 * Octets over one TCP connection with a checksum at both ends. Two processes:
 *
 *   node transfer.js send HOST PORT BYTES SEED
 *   node transfer.js receive PORT
 *
 * The content is the AES-CTR key stream of the seed, so no two places are alike. Both print
 * `{"bytes":...,"sha256":...,"seconds":...}`; the receiver prints `listening` first.
 */
import { createCipheriv, createHash } from "node:crypto";
import { connect, createServer, type Socket } from "node:net";

export interface Transferred {
  readonly bytes: number;
  readonly sha256: string;
  readonly seconds: number;
}

const CHUNK_OCTETS = 256 * 1024;

async function send(host: string, port: number, bytes: number, seed: number): Promise<void> {
  const key = createHash("sha256").update(`${seed}`).digest().subarray(0, 16);
  const stream = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK_OCTETS);
  const hash = createHash("sha256");
  const socket = connect(port, host);
  await once(socket, "connect");
  const startMs = performance.now();
  for (let left = bytes; left > 0; left -= CHUNK_OCTETS) {
    const chunk = stream.update(zeros.subarray(0, Math.min(left, CHUNK_OCTETS)));
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, "drain");
  }
  socket.end();
  await once(socket, "close");
  print(bytes, hash.digest("hex"), startMs);
}

function receive(port: number): void {
  const server = createServer((socket) => {
    server.close();
    const hash = createHash("sha256");
    const startMs = performance.now();
    let bytes = 0;
    socket.on("data", (chunk) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    socket.on("error", (error) => console.error(error.message));
    socket.on("close", () => print(bytes, hash.digest("hex"), startMs));
  });
  server.listen(port, () => console.log("listening"));
}

function print(bytes: number, sha256: string, startMs: number): void {
  const seconds = (performance.now() - startMs) / 1_000;
  console.log(JSON.stringify({ bytes, sha256, seconds } satisfies Transferred));
}

function once(socket: Socket, event: "connect" | "drain" | "close"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => {
      socket.off("error", reject);
      resolve();
    });
    socket.once("error", reject);
  });
}

const [role = "", ...rest] = process.argv.slice(2);
if (role === "send") await send(rest[0] ?? "", Number(rest[1]), Number(rest[2]), Number(rest[3]));
else receive(Number(rest[0]));
