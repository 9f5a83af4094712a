/** Inner packets that are too long: who is answered, how often, what is cut, and that no slot is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../../src/core/arena.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import type { Engine } from "../../src/native/native.ts";
import { Delivery } from "../../src/portal/delivery.ts";
import type { Peer } from "../../src/portal/peer.ts";
import { TooLong } from "../../src/portal/too-long.ts";
import { type InnerPacket, slotOf } from "../bond/inner-packets.ts";

const WHOLE = { fragment: 0x4000 } as const;

function world() {
  const arena = new Arena(64);
  const written: Uint8Array[] = [];
  const engine = {
    writeTun: (_tun: number, batch: Int32Array, count: number) => {
      for (const slot of batch.subarray(0, count)) written.push(arena.read(slot));
      return count;
    },
  } as unknown as Engine;
  const delivery = new Delivery(engine, arena, { admits: () => true }, { sourceDenied: 0 });
  delivery.tun = 1;
  const sent: number[] = [];
  const egress = { refuse: (_nowUs: number, _slot: number) => {} };
  const bond = { egress, enqueue: (_nowUs: number, slot: number) => sent.push(slot) };
  const peer = { innerMtu: 1349, bond, dirty: false } as unknown as Peer;
  const tooLong = new TooLong(arena, delivery);
  const take = (nowUs: number, packet: InnerPacket) => {
    tooLong.take(nowUs, peer, slotOf(arena, packet));
    delivery.write();
  };
  return { arena, delivery, written, sent, egress, peer, tooLong, take };
}

test("a packet that must not be cut is answered and dropped", () => {
  const { arena, written, sent, tooLong, take } = world();
  take(SECOND, { ...WHOLE, bytes: 1400 });
  take(SECOND, { version: 6, bytes: 1400 });
  assert.deepEqual(
    written.map((packet) => (packet[0] as number) >> 4),
    [4, 6],
  );
  assert.deepEqual([sent.length, tooLong.dropped, tooLong.cut], [0, 2, 0]);
  assert.equal(arena.freeCount, arena.slotCount);
});

test("a packet that may be cut is cut, and nobody is answered", () => {
  const { arena, written, sent, tooLong, take, peer } = world();
  take(SECOND, { bytes: 1400 });
  assert.deepEqual([written.length, sent.length, tooLong.dropped, tooLong.cut], [0, 2, 0, 1]);
  assert.ok(sent.every((slot) => (arena.length[slot] as number) <= 1349));
  assert.equal(peer.dirty, true);
});

test("one answer is enough for the segments of one super-packet, and for all that come within 10 ms", () => {
  const { written, take } = world();
  for (let at = 0; at < 45; at += 1) take(SECOND + at * (MS / 10), { ...WHOLE, bytes: 1400 });
  assert.equal(written.length, 1);
  take(SECOND + 11 * MS, { ...WHOLE, bytes: 1400 });
  assert.equal(written.length, 2);
});

test("a flood of flows gets 50 answers at once, then 200 a second, and takes none from another peer", () => {
  const { arena, delivery, written, peer, tooLong, take } = world();
  const flood = (nowUs: number) => {
    for (let port = 1; port <= 500; port += 1) {
      take(nowUs, { ...WHOLE, bytes: 1400, sourcePort: port });
    }
  };
  flood(SECOND);
  assert.equal(written.length, 50);
  flood(SECOND + 100 * MS);
  assert.equal(written.length, 70);
  tooLong.take(SECOND + 100 * MS, { ...peer } as Peer, slotOf(arena, { ...WHOLE, bytes: 1400 }));
  delivery.write();
  assert.equal(written.length, 71, "another peer's senders are answered all the same");
  assert.equal(arena.freeCount, arena.slotCount);
});

test("what a bond can send by no link any more is answered, not cut, and stays the bond's", () => {
  const { arena, written, egress, peer, tooLong } = world();
  tooLong.watch(peer);
  const slots = [{ ...WHOLE, bytes: 1400 }, { bytes: 1400 }, { ...WHOLE, bytes: 1000 }].map((one) =>
    slotOf(arena, one),
  );
  for (const [at, slot] of slots.entries()) egress.refuse(SECOND + at * SECOND, slot);
  for (const slot of slots) arena.give(slot);
  assert.equal(arena.freeCount, arena.slotCount - 1, "one answer waits for the device");
  assert.equal(written.length, 0);
});
