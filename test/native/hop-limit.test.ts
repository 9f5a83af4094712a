/** Hop limits: what a socket sends with, and what a packet arrived with. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { INFO_HOP_LIMIT_SHIFT } from "../../src/native/native.ts";
import { concat, type Harness, harness, KINDS, receiveSoon, sendOctets, slots } from "./harness.ts";
import { inNamespace } from "./namespace.ts";
import { tcpPair } from "./tcp-pair.ts";

const MESSAGE = concat(Uint8Array.of(0x90), new Uint8Array(20));
/** The loopback's own default. */
const DEFAULT = 64;

inNamespace(import.meta.filename, () => {
  for (const [kind, family] of KINDS) {
    for (const connected of [true, false]) {
      test(`${kind} over IPv${family}, ${connected ? "" : "not "}connected: the hop limit is told on request`, (context) => {
        const at = harness(context);
        const source = family === 4 ? "127.0.0.1" : "::1";
        const options = { kind, family, protocol: 253, source } as const;
        const server = at.engine.openSocket({ ...options, arrivalHopLimit: true });
        const client = at.engine.openSocket(options);
        at.engine.connectSocket(client, source, at.engine.localAddress(server).port);
        if (connected) {
          at.engine.connectSocket(server, source, at.engine.localAddress(client).port);
        }
        assert.equal(hopsOf(at, client, server), DEFAULT);
        for (const hops of [1, 7, 255]) {
          at.engine.setHopLimit(client, hops);
          assert.equal(hopsOf(at, client, server), hops);
        }
        at.engine.setArrivalHopLimit(server, false);
        // The header of a raw IPv4 packet has it all the same.
        const always = kind === "raw" && family === 4;
        assert.equal(hopsOf(at, client, server), always ? 255 : 0);
        at.engine.setArrivalHopLimit(server, true);
        assert.equal(hopsOf(at, client, server), 255);
        assert.equal(at.engine.takeErrors(server), null);
      });
    }
  }

  test("over TCP no hop limit is told", async (context) => {
    const at = harness(context);
    const { client, server } = await tcpPair(at, 4, { arrivalHopLimit: true, hopLimit: 9 });
    at.engine.setHopLimit(client, 10);
    sendOctets(at, client, MESSAGE);
    const batch = slots(at.arena, 1);
    assert.equal(receiveSoon(at, server, batch, 1, true), 1);
    assert.equal(at.arena.info[batch[0] as number], 0);
  });
});

function hopsOf(at: Harness, client: number, server: number): number {
  const batch = slots(at.arena, 1);
  const [slot] = batch as unknown as [number];
  sendOctets(at, client, MESSAGE);
  assert.equal(receiveSoon(at, server, batch, 1, true), 1);
  at.arena.give(slot);
  return (at.arena.info[slot] as number) >>> INFO_HOP_LIMIT_SHIFT;
}
