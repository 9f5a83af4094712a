/** Capturing: every outer packet as a pcap record, with headers that say where it really went. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PATH_AT } from "../../src/core/path.ts";
import type { TapOptions } from "../../src/native/native.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import {
  concat,
  counted,
  GCM_KEYS,
  gcmSealed,
  type Harness,
  harness,
  KEYS,
  KINDS,
  loopbackPair,
  preamble,
  receiveSoon,
  sealed,
  sendOctets,
  slots,
  transmitBy,
} from "./harness.ts";
import { inNamespace } from "./namespace.ts";
import { type Captured, decodeOuter, recordsOf } from "./pcap.ts";
import { collect, LINK, message, NO_TRANSMITS, send, tcpPair } from "./tcp-pair.ts";

const CLASS = 0xb9;
const ALL: TapOptions = { snapOctets: 65535 };
const PROTOCOLS = { raw: 253, udp: 17 } as const;

inNamespace(import.meta.filename, () => {
  for (const [kind, family] of KINDS) {
    for (const connected of [true, false]) {
      test(`${kind} over IPv${family}, ${connected ? "" : "not "}connected: sent and received, octet for octet`, (context) => {
        const at = harness(context);
        const { server, client } = loopbackPair(at.engine, kind, family);
        const address = Buffer.from(family === 4 ? [127, 0, 0, 1] : [...new Uint8Array(15), 1]);
        const ports = [client, server].map((handle) => at.engine.localAddress(handle).port);
        const transmit = at.engine.addTransmit(KEYS);
        at.engine.setTrafficClass(transmit, CLASS);
        at.engine.setHopLimit(client, 33);
        at.engine.setPath(transmit, client, null);
        if (!connected) {
          const path = pathTo(kind, family, address, ports[1] as number);
          at.engine.setPath(transmit, openOther(at, kind, family, ports), path);
        }
        at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: NO_TRANSMITS });
        at.engine.tap(ALL);
        const sizes = [700, 700, 700, 300, 900];
        const messages = sizes.map((octets, seq) => message(seq, octets));
        const before = BigInt(Date.now() - 1) * 1_000_000n;
        assert.equal(send(at, transmit, messages), 5);
        assert.equal(receiveSoon(at, server, slots(at.arena, 8), 5), 5);
        const after = BigInt(Date.now() + 1) * 1_000_000n;
        const records = captured(at);
        assert.equal(records.length, 10);
        records.forEach((record, index) => {
          const seq = index % 5;
          const outer = decodeOuter(record.octets);
          assert.ok(record.ns >= before && record.ns <= after, "the time of day");
          assert.equal(record.original, record.octets.length);
          assert.deepEqual(
            [outer.family, outer.protocol, outer.trafficClass, outer.checksums],
            [family, PROTOCOLS[kind], CLASS, "right"],
          );
          assert.deepEqual([outer.source, outer.destination], [address, address]);
          if (kind === "udp") assert.deepEqual([outer.sourcePort, outer.destinationPort], ports);
          // A raw IPv4 packet arrives with its header, of the others nobody asked.
          const told = index < 5 || (kind === "raw" && family === 4);
          assert.equal(outer.hopLimit, told ? (connected ? 33 : 44) : 0);
          const tagged = sealed(KEYS.data as Uint8Array, seq, message(seq, sizes[seq] ?? 0), 10);
          assert.deepEqual(Uint8Array.from(outer.payload), tagged);
        });
      });
    }
  }

  for (const family of [4, 6] as const) {
    test(`TCP over IPv${family}: one record a message, its length in front, octets counted`, async (context) => {
      const at = harness(context);
      const { server, client } = await tcpPair(at, family);
      const ports = [client, server].map((handle) => at.engine.localAddress(handle).port);
      const transmit = transmitBy(at.engine, client);
      at.engine.addReceive(LINK, { ...KEYS, context: 1, transmits: NO_TRANSMITS });
      assert.equal(send(at, transmit, [message(0, 400)]), 1);
      await collect(at, server, 1);
      at.engine.tap(ALL);
      const messages = [1, 2, 3].map((seq) => message(seq, 500 * seq));
      assert.equal(send(at, transmit, messages, 1), 3);
      await collect(at, server, 3);
      const records = captured(at);
      assert.equal(records.length, 6);
      let next = 412;
      records.forEach((record, index) => {
        if (index === 3) next = 412;
        const outer = decodeOuter(record.octets);
        assert.deepEqual([outer.protocol, outer.checksums], [6, "right"]);
        assert.deepEqual([outer.sourcePort, outer.destinationPort], ports);
        assert.equal(outer.seq, next, `record ${index}`);
        next += outer.payload.length;
        const octets = sealed(
          KEYS.data as Uint8Array,
          (index % 3) + 1,
          messages[index % 3] ?? new Uint8Array(0),
          10,
        );
        assert.equal(outer.payload.readUInt16BE(0), octets.length);
        assert.deepEqual(Uint8Array.from(outer.payload.subarray(2)), octets);
      });
    });
  }

  test("what is refused is captured as well, and encrypted messages as they are on the wire", (context) => {
    const at = harness(context);
    const { server, client } = loopbackPair(at.engine, "udp", 4);
    at.engine.addReceive(LINK, { ...GCM_KEYS, context: 1, transmits: NO_TRANSMITS });
    const good = gcmSealed(GCM_KEYS, 1, preamble(TYPE.data, 0, LINK, 1), new Uint8Array(60));
    const wrong = [good.with(30, 1 ^ (good[30] as number)), good, good, good.with(2, 0x99)];
    at.engine.tap(ALL);
    for (const octets of wrong) sendOctets(at, client, octets);
    assert.equal(receiveSoon(at, server, slots(at.arena, 1), 1), 1);
    // The message behind the good one is refused by a call of its own.
    const batch = slots(at.arena, 8);
    for (let tries = 0; tries < 1e6 && counted(at.arena, "badIndex") === 0; tries += 1) {
      at.engine.receive(server, batch, 8);
    }
    const payloads = captured(at).map((record) =>
      Uint8Array.from(decodeOuter(record.octets).payload),
    );
    assert.deepEqual(payloads, [...wrong, ...wrong]);
  });

  test("what was not sent is not captured", (context) => {
    const at = harness(context);
    const { client } = loopbackPair(at.engine, "udp", 4);
    const transmit = transmitBy(at.engine, client);
    at.engine.close(client);
    at.engine.tap(ALL);
    assert.equal(send(at, transmit, [message(0, 100)]), 1);
    assert.equal(captured(at).length, 0);
  });

  test("a capture may name links", (context) => {
    const at = harness(context);
    const { server, client } = loopbackPair(at.engine, "raw", 4);
    const links = [5, 0x123456, 7, 0xffffff, 0];
    const octets = (link: number) => concat(preamble(TYPE.control, 3, link, 1), new Uint8Array(20));
    for (const [named, count] of [
      [[7, 0xffffff, 6], 4],
      [[], 0],
      [links, 10],
    ] as const) {
      at.engine.tap({ ...ALL, links: named });
      for (const link of links) sendOctets(at, client, octets(link));
      assert.equal(receiveSoon(at, server, slots(at.arena, 5), 5, true), 5);
      const seen = captured(at).map((record) =>
        decodeOuter(record.octets).payload.readUIntBE(1, 3),
      );
      assert.equal(seen.length, count);
      assert.ok(seen.every((link) => named.includes(link as never)));
    }
  });

  test("only so many octets of a packet are kept", (context) => {
    const at = harness(context);
    const { client } = loopbackPair(at.engine, "udp", 4);
    for (const snapOctets of [1, 20, 28, 36, 127, 128, 129]) {
      at.engine.tap({ snapOctets });
      sendOctets(at, client, concat(preamble(TYPE.data, 0, LINK, 1), new Uint8Array(92)));
      const [record] = captured(at) as [Captured];
      assert.deepEqual([record.octets.length, record.original], [Math.min(snapOctets, 128), 128]);
    }
  });

  test("a full ring counts what it misses, and goes on after it was read", (context) => {
    const at = harness(context);
    const { client } = loopbackPair(at.engine, "udp", 4);
    const transmit = transmitBy(at.engine, client);
    at.engine.tap(ALL);
    // 1500 octets a packet and 16 of its record: 5533 fill the ring.
    const fits = Math.floor((8 << 20) / 1516);
    let seq = 0;
    const sendSome = (count: number) => {
      for (let left = count; left > 0; ) {
        const messages = Array.from({ length: Math.min(left, 100) }, (_, at100) =>
          message(seq + at100, 1462),
        );
        const sent = send(at, transmit, messages, seq);
        left -= sent;
        seq += sent;
      }
    };
    for (const round of [1, 2, 3]) {
      const from = seq;
      sendSome(fits + 17);
      const seqs = captured(at, 100_000).map((record) =>
        decodeOuter(record.octets).payload.readUInt32BE(4),
      );
      assert.equal(seqs.length, fits);
      assert.ok(
        seqs.every((value, index) => value === from + index),
        `round ${round}`,
      );
      assert.equal(counted(at.arena, "tapMissed"), 17 * round);
    }
    assert.equal(counted(at.arena, "sendBlocked"), 0);
  });

  test("nobody captures, nothing is kept", (context) => {
    const at = harness(context);
    const { client } = loopbackPair(at.engine, "udp", 4);
    const octets = concat(preamble(TYPE.data, 0, LINK, 1), new Uint8Array(92));
    sendOctets(at, client, octets);
    assert.equal(captured(at).length, 0);
    at.engine.tap(ALL);
    sendOctets(at, client, octets);
    at.engine.tap(null);
    assert.equal(captured(at).length, 0, "forgotten");
    at.engine.tap(ALL);
    assert.equal(captured(at).length, 0, "begun anew");
    for (const size of [0, 4095]) {
      assert.throws(() => at.engine.readTap(new Uint8Array(size)), TypeError);
    }
    const junk = [{}, { snapOctets: 0 }, { snapOctets: 65536 }, { ...ALL, links: [2 ** 24] }];
    const many = { ...ALL, links: new Array<number>(257).fill(1) };
    for (const options of [...junk, many, { ...ALL, links: 5 }] as TapOptions[]) {
      assert.throws(() => at.engine.tap(options), TypeError, JSON.stringify(options));
    }
  });
});

/** All that is in the ring, read in steps of so many octets. */
function captured(at: Harness, step = 1 << 20): Captured[] {
  const parts: Uint8Array[] = [];
  const into = new Uint8Array(step);
  for (;;) {
    const octets = at.engine.readTap(into);
    if (octets === 0) break;
    parts.push(into.slice(0, octets));
  }
  return recordsOf(Buffer.concat(parts));
}

/** An unconnected socket that takes the client's place, so that the server hears it. */
function openOther(at: Harness, kind: "raw" | "udp", family: 4 | 6, ports: number[]): number {
  const source = family === 4 ? "127.0.0.1" : "::1";
  const other = at.engine.openSocket({ kind, family, protocol: 253, source, hopLimit: 44 });
  ports[0] = at.engine.localAddress(other).port;
  return other;
}

function pathTo(kind: "raw" | "udp", family: 4 | 6, address: Uint8Array, port: number): Uint8Array {
  const path = new Uint8Array(40);
  path[PATH_AT.family] = family;
  path[PATH_AT.transport] = kind === "udp" ? 1 : 0;
  path.set([port >> 8, port & 0xff], PATH_AT.port);
  path.set(address, PATH_AT.remote);
  return path;
}
