/** Real TUN devices with the kernel's own TCP and UDP behind them. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { READY, TUN_OFFLOAD } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { headerChecksum } from "../bond/inner-packets.ts";
import {
  concat,
  counted,
  countersText,
  giveAll,
  type Harness,
  harness,
  KEYS,
  preamble,
  put,
  slots,
  tagOf,
  transmitBy,
} from "./harness.ts";
import { inNamespace, inPeer, ip, peerNamespace } from "./namespace.ts";
import { assertSound, build, cutByHand } from "./packets.ts";

const MTU = 1400;

inNamespace(import.meta.filename, () => {
  test("a TUN is named as asked, or by the kernel, and gone when it is closed", (context) => {
    const { engine } = harness(context);
    const asked = engine.openTun({ name: "asked0", offload: false });
    const numbered = engine.openTun({ name: "n%d", offload: true, queuePackets: 1234 });
    assert.equal(asked.name, "asked0");
    assert.equal(asked.offloads, 0);
    assert.equal(numbered.name, "n0");
    const wanted = TUN_OFFLOAD.checksum | TUN_OFFLOAD.tso4 | TUN_OFFLOAD.tso6;
    assert.equal(numbered.offloads & wanted, wanted);
    assert.match(ip("link"), /asked0.*qlen 500\n.*n0.*qlen 1234\n/s);
    assert.throws(() => engine.openTun({ name: "asked0", offload: false }), { code: "EBUSY" });
    assert.throws(() => engine.openTun({ name: "a/b", offload: false }), { code: "EINVAL" });
    engine.close(asked.handle);
    engine.close(numbered.handle);
    assert.doesNotMatch(ip("link"), /asked0|n0/);
  });

  for (const family of [4, 6] as const) {
    for (const offload of [true, false]) {
      test(`UDP packets of IPv${family} are read cut and complete, offload ${offload}`, (context) => {
        const at = harness(context);
        const { tun, client, transmit } = udpOverTun(at, family, offload);
        const messages = sendRun(at, transmit, 40, 1000);
        const batch = slots(at.arena, 64);
        assert.equal(at.engine.readTun(tun, batch, 64), 40, countersText(at.arena));
        const headers = family === 4 ? 28 : 48;
        messages.forEach((message, index) => {
          const packet = at.arena.read(batch[index] as number);
          assertSound(packet);
          const wire = concat(message, tagOf(KEYS.data as Uint8Array, index, message, 10));
          assert.deepEqual(packet.subarray(headers), wire);
        });
        // With UDP segmentation in the device the whole run is one read, and one that finds nothing.
        const calls = counted(at.arena, "tunReadCalls");
        assert.equal(calls, offload ? 2 : 41);
        at.engine.close(client);
      });
    }
  }

  test("segments that find no slot wait, in order, and keep the TUN readable", (context) => {
    const at = harness(context);
    const { tun, transmit } = udpOverTun(at, 4, true);
    const messages = sendRun(at, transmit, 10, 1000);
    at.engine.watch(new Int32Array(128), () => assert.fail("the event loop does not run here"));
    const batch = slots(at.arena, 4);
    const seen: Uint8Array[] = [];
    for (const expected of [4, 4, 2]) {
      assert.equal(at.engine.watchNow(), 1);
      assert.equal(at.engine.readTun(tun, batch, 4), expected);
      for (const slot of batch.subarray(0, expected))
        seen.push(at.arena.read(slot).subarray(28, -10));
    }
    assert.equal(at.engine.watchNow(), 0);
    at.engine.unwatch();
    assert.deepEqual(seen, messages);
  });

  test("a packet longer than a slot is dropped and counted", (context) => {
    for (const offload of [true, false]) {
      const at = harness(context);
      const tun = at.engine.openTun({ name: "wide0", offload });
      ip("addr", "add", "10.9.0.1/24", "dev", "wide0");
      ip("link", "set", "wide0", "mtu", "9000", "up");
      const payload = "x".repeat(3000);
      execFileSync("bash", ["-c", `printf %s ${payload} > /dev/udp/10.9.0.2/9`]);
      execFileSync("bash", ["-c", "printf %s short > /dev/udp/10.9.0.2/9"]);
      const batch = slots(at.arena, 64);
      const got = at.engine.readTun(tun.handle, batch, 64);
      const lengths = [...batch.subarray(0, got)].map((slot) => at.arena.length[slot]);
      assert.ok(lengths.includes(33), "the packet behind it comes");
      assert.ok(lengths.every((length) => (length as number) < 100));
      assert.equal(counted(at.arena, "oversize"), 1);
      at.engine.close(tun.handle);
    }
  });

  test("what the kernel refuses to take is counted", (context) => {
    for (const offload of [true, false]) {
      const at = harness(context);
      const tun = at.engine.openTun({ name: "down0", offload });
      const batch = slots(at.arena, 3);
      cutByHand({ v6: false, tcp: true, payload: new Uint8Array(3000) }, 1000).forEach(
        (packet, index) => {
          put(at.arena, batch[index] as number, packet);
        },
      );
      assert.equal(at.engine.writeTun(tun.handle, batch, 3), 0);
      assert.equal(counted(at.arena, "tunWriteErrors"), 3);
      ip("link", "set", "down0", "up");
      assert.equal(at.engine.writeTun(tun.handle, batch, 3), 3);
      put(at.arena, batch[1] as number, new Uint8Array(40));
      assert.equal(at.engine.writeTun(tun.handle, batch, 3), 2, "neither IPv4 nor IPv6");
      at.engine.close(tun.handle);
    }
  });

  test("written packets reach the host's sockets", (context) => {
    for (const offload of [true, false]) {
      const at = harness(context);
      const { tun, client } = udpOverTun(at, 4, offload);
      const payload = concat(preamble(TYPE.data, 0, 1, 1), new Uint8Array(500).fill(3));
      const batch = slots(at.arena, 1);
      const [slot] = batch as unknown as [number];
      const { octets } = build({ v6: false, tcp: false, payload });
      octets.set([10, 9, 0, 2, 10, 9, 0, 1], 12);
      const { port } = at.engine.localAddress(client);
      octets.set([7000 >> 8, 7000 & 255, port >> 8, port & 255], 20);
      octets.set([0, 0], 26); // UDP over IPv4 may go without a checksum.
      const sum = headerChecksum(octets);
      octets.set([sum >> 8, sum & 255], 10);
      put(at.arena, slot, octets);
      assert.equal(at.engine.writeTun(tun, batch, 1), 1);
      assert.equal(at.engine.receivePlain(client, batch, 1), 1);
      assert.deepEqual(at.arena.read(slot), payload);
      at.engine.close(tun);
    }
  });

  for (const family of [4, 6] as const) {
    for (const [left, right] of [
      [true, true],
      [true, false],
      [false, true],
      [false, false],
    ] as const) {
      test(`TCP over IPv${family} passes two TUNs unharmed, offload ${left} and ${right}`, async (context) => {
        const at = harness(context, 4096);
        const pid = await peerNamespace(context);
        const near = at.engine.openTun({ name: "tcp0", offload: left });
        const far = at.engine.openTun({ name: "tcp1", offload: right });
        ip("link", "set", "tcp1", "netns", `${pid}`);
        for (const [device, host, prefix] of [
          ["tcp0", 1, []],
          ["tcp1", 2, inPeer(pid)],
        ] as const) {
          const run = (...args: string[]) => execFileSync("env", [...prefix, "ip", ...args]);
          run("addr", "add", `10.8.0.${host}/24`, "dev", device);
          run("addr", "add", `fd08::${host}/64`, "dev", device, "nodad");
          run("link", "set", device, "mtu", `${MTU}`, "up");
        }
        const [server, client] = await transferPair(pid, family);
        const packets = await forward(at, near.handle, far.handle, [server, client]);
        assert.ok(packets > 20_000, `${packets} packets`);
        assert.ok(left === false || counted(at.arena, "tunSuperPackets") > 0);
        for (const name of ["tunMalformed", "tunWriteErrors", "oversize"] as const) {
          assert.equal(counted(at.arena, name), 0, name);
        }
      });
    }
  }
});

/** A TUN and a UDP socket that sends through it. */
function udpOverTun(at: Harness, family: 4 | 6, offload: boolean) {
  const { handle: tun } = at.engine.openTun({ name: `udp${family}`, offload });
  ip("link", "set", `udp${family}`, "addrgenmode", "none");
  ip("addr", "add", "10.9.0.1/24", "dev", `udp${family}`);
  ip("addr", "add", "fd09::1/64", "dev", `udp${family}`, "nodad");
  ip("link", "set", `udp${family}`, "mtu", `${MTU}`, "up");
  const client = at.engine.openSocket({ kind: "udp", family });
  at.engine.connectSocket(client, family === 4 ? "10.9.0.2" : "fd09::2", 7000);
  const transmit = transmitBy(at.engine, client);
  const batch = slots(at.arena, 16);
  at.engine.readTun(tun, batch, 16); // What the kernel says by itself when a device comes up.
  giveAll(at.arena, batch);
  at.arena.counters.fill(0);
  return { tun, client, transmit };
}

function sendRun(at: Harness, transmit: number, count: number, octets: number): Uint8Array[] {
  const batch = slots(at.arena, count);
  const messages = Array.from(batch, (slot, index) => {
    const message = concat(
      preamble(TYPE.data, 0, 1, index),
      new Uint8Array(octets - 8).fill(index),
    );
    put(at.arena, slot, message, index);
    return message;
  });
  assert.equal(at.engine.send(transmit, batch, count), count, countersText(at.arena));
  giveAll(at.arena, batch);
  return messages;
}

/** Sends 24 MB of its own both ways and checks what comes against what must come. */
const TRANSFER = `
  const { createHash } = require("node:crypto");
  const net = require("node:net");
  const [role, address] = process.argv.slice(1);
  const block = (side, index) => {
    const octets = Buffer.alloc(1 << 16);
    for (let at = 0; at < octets.length; at += 4) octets.writeUInt32LE(((side << 28) + index * 65536 + at) >>> 0, at);
    return octets;
  };
  const BLOCKS = 384;
  const expected = (side) => {
    const hash = createHash("sha256");
    for (let index = 0; index < BLOCKS; index += 1) hash.update(block(side, index));
    return hash.digest("hex");
  };
  const serve = (socket, side) => {
    const hash = createHash("sha256");
    socket.on("data", (octets) => hash.update(octets));
    socket.on("end", () => { if (hash.digest("hex") !== expected(1 - side)) process.exitCode = 9; });
    (async () => {
      for (let index = 0; index < BLOCKS; index += 1) {
        if (!socket.write(block(side, index))) await new Promise((resolve) => socket.once("drain", resolve));
      }
      socket.end();
    })();
  };
  if (role === "server") {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => { server.close(); serve(socket, 1); });
    server.listen(7000, address, () => console.log("listening"));
  } else {
    serve(net.connect({ host: address, port: 7000, allowHalfOpen: true }), 0);
  }`;

async function transferPair(pid: number, family: 4 | 6): Promise<[ChildProcess, ChildProcess]> {
  const address = family === 4 ? "10.8.0.2" : "fd08::2";
  const node = (role: string) => [process.execPath, "-e", TRANSFER, role, address];
  const server = spawn("env", inPeer(pid, ...node("server")), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(server.stdout, "data");
  return [server, spawn("env", node("client"), { stdio: "inherit" })];
}

/** Carries packets between two TUNs until both processes have ended well; returns how many. */
async function forward(
  at: Harness,
  near: number,
  far: number,
  processes: ChildProcess[],
): Promise<number> {
  const batch = slots(at.arena, 1024);
  const ready = new Int32Array(128);
  let packets = 0;
  at.engine.watch(ready, (count) => {
    for (let index = 0; index < count; index += 1) {
      const from = ready[2 * index] as number;
      assert.equal(ready[2 * index + 1], READY.readable);
      const got = at.engine.readTun(from, batch, batch.length);
      for (const slot of batch.subarray(0, got)) {
        assert.ok((at.arena.length[slot] as number) <= MTU);
        // Checking in JavaScript is slow: every hundredth.
        packets += 1;
        if (packets % 100 === 0 && isTcp(at, slot)) assertSound(at.arena.read(slot));
      }
      at.engine.writeTun(from === near ? far : near, batch, got);
    }
  });
  const limit = setTimeout(() => {
    for (const child of processes) child.kill();
  }, 60_000);
  const ends = await Promise.all(processes.map((child) => once(child, "exit")));
  clearTimeout(limit);
  at.engine.unwatch();
  assert.deepEqual(
    ends,
    [
      [0, null],
      [0, null],
    ],
    "both ends got what the other sent",
  );
  return packets;
}

function isTcp(at: Harness, slot: number): boolean {
  const packet = at.arena.start[slot] as number;
  const v6 = (at.arena.octets[packet] as number) >> 4 === 6;
  return at.arena.octets[packet + (v6 ? 6 : 9)] === 6;
}
