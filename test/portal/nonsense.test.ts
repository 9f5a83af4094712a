/**
 * Whatever an authenticated peer says or inner senders write, nothing is thrown, no slot is lost, and what comes out
 * of it is well formed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import type { Engine } from "../../src/native/native.ts";
import type { Route } from "../../src/portal/carrier.ts";
import { DataPath } from "../../src/portal/datapath.ts";
import { Delivery } from "../../src/portal/delivery.ts";
import { LinkNews } from "../../src/portal/link-news.ts";
import type { Binding, DataPathOwner } from "../../src/portal/owner.ts";
import { Peer } from "../../src/portal/peer.ts";
import { TooLong } from "../../src/portal/too-long.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { controlMessage } from "../wire/control-message.ts";

const ROUTE: Route = { socket: 1, transport: "udp", family: 4, path: null };
const SLOTS = 600;

function world() {
  const arena = new Arena(SLOTS);
  const written: Uint8Array[] = [];
  const engine = {
    nowUs: () => 0,
    writeTun: (_tun: number, batch: Int32Array, count: number) => {
      for (const slot of batch.subarray(0, count)) written.push(arena.read(slot));
    },
  } as unknown as Engine;
  const peer = new Peer(
    ...([0, "peer", arena] as const),
    () => ({
      ...{ name: "one", mtu: 1500, mssBytes: 1500, dscp: 0, ecn: true },
      controller: { name: "cubic" },
    }),
    () => assert.fail("no ladder is needed"),
  );
  for (const number of [0, 1]) peer.link(number).attach(0);
  const drain = () => {
    for (const link of peer.bond.links) {
      for (let at = 0; at < link.outboxCount; at += 1) arena.give(link.outbox[at] as number);
      link.drained(link.outboxCount);
    }
  };
  return { arena, engine, peer, written, drain };
}

/** Octets in whose first few the interesting values are frequent. */
const octets = (maxLength: number) =>
  fc
    .tuple(
      fc.array(fc.constantFrom(0, 1, 2, 3, 10, 11, 12, 15, 16, 127, 128, 255), { maxLength: 16 }),
      fc.uint8Array({ maxLength }),
    )
    .map(([head, rest]) => Uint8Array.of(...head, ...rest));

test("CONTROL of links and sizes with any body is taken, or counted", () => {
  const { arena, engine, peer, drain } = world();
  const owner = { routeOf: () => ROUTE } as unknown as DataPathOwner;
  const data = new DataPath(engine, arena, owner);
  const news = new LinkNews(data);
  const binding = { peer, link: 1 } as Binding;
  let nowUs = 0;
  const messages = fc.tuple(fc.constantFrom(10, 11, 12), octets(60));
  fc.assert(
    fc.property(messages, ([what, rest]) => {
      nowUs += 10 * MS;
      const body = Uint8Array.of(what, ...rest);
      const slot = arena.take();
      arena.write(slot, controlMessage(body));
      assert.ok(data.controls.take(nowUs, TYPE.control, binding, slot, 1));
      arena.give(slot);
      news.tick(nowUs);
      peer.bond.tick(nowUs);
      drain();
      assert.equal(arena.freeCount, SLOTS);
      assert.equal(peer.bond.links.length, 2);
    }),
    { numRuns: 1000 },
  );
  const { malformed } = news;
  assert.ok(malformed > 50 && malformed < 1000, `${malformed} malformed`);
});

/** Inner packets of which any field may lie. */
const inner = fc
  .tuple(
    ...([fc.constantFrom(0x45, 0x46, 0x4f, 0x40, 0x60, 0x6f, 0x00, 0xf5), octets(40)] as const),
    fc.constantFrom(0, 1, 6, 17, 43, 44, 51, 58, 60),
    fc.constantFrom(0, 1, 19, 20, 39, 40, 47, 48, 53, 54, 60, 577, 1281, 1500, 1950),
    fc.option(fc.constantFrom(0, 0x20, 0x40)),
  )
  .map(([first, head, protocol, length, honest]) => {
    const packet = new Uint8Array(length);
    packet.set(head.subarray(0, Math.max(length - 1, 0)), Math.min(1, length));
    if (length > 9) packet[first >> 4 === 4 ? 9 : 6] = protocol;
    if (length > 40 && honest !== null) {
      packet.set([length >> 8, length & 255, 0, 1, honest], 2);
      packet.set([10, 0, 0, 1, 10, 0, 0, 2], 12);
      packet[24] = 0xfd;
    }
    if (length > 0) packet[0] = first;
    return packet;
  });

function assertIsAnswer(answer: Uint8Array, question: Uint8Array): void {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  const v4 = (answer[0] as number) >> 4 === 4;
  const [from, to, end] = v4 ? [12, 16, 20] : [8, 24, 40];
  assert.ok(answer.length <= (v4 ? 576 : 1280));
  assert.equal(view.getUint16(v4 ? 2 : 4) + (v4 ? 0 : 40), answer.length);
  assert.deepEqual(answer.subarray(from, to), question.subarray(to, end));
  assert.deepEqual(answer.subarray(to, end), question.subarray(from, to));
  assert.ok((answer[from] as number) !== 0xff && (!v4 || (answer[from] as number) < 224));
}

test("an inner packet of which any field lies is cut, answered or dropped, and delivered unharmed", () => {
  const { arena, engine, peer, written } = world();
  const delivery = new Delivery(engine, arena, { admits: () => true }, { sourceDenied: 0 });
  delivery.tun = 1;
  const tooLong = new TooLong(arena, delivery);
  tooLong.watch(peer);
  const pieces: number[] = [];
  peer.bond.enqueue = (_nowUs, slot) => {
    pieces.push(slot);
  };
  let nowUs = 0;
  let answers = 0;
  fc.assert(
    fc.property(inner, fc.integer({ min: 576, max: 1400 }), (packet, mtu) => {
      nowUs += SECOND;
      peer.innerMtu = mtu;
      const [slot, other, third] = [arena.take(), arena.take(), arena.take()];
      for (const one of [slot, other, third]) arena.write(one, packet);
      if (packet.length > mtu) {
        tooLong.take(nowUs, peer, slot);
        peer.bond.egress.refuse(nowUs + SECOND / 2, other);
      } else arena.give(slot);
      arena.give(other);
      delivery.write();
      for (const answer of written) assertIsAnswer(answer, packet);
      answers += written.length;
      written.length = 0;
      for (const piece of pieces) {
        assert.ok((arena.length[piece] as number) <= mtu);
        arena.give(piece);
      }
      pieces.length = 0;
      peer.bond.arrived.ready[0] = third;
      peer.bond.arrived.readyCount = 1;
      delivery.deliver(peer);
      delivery.write();
      assert.equal(written.pop()?.length, packet.length);
      assert.equal(arena.freeCount, SLOTS);
    }),
    { numRuns: 2000 },
  );
  for (const often of [answers, tooLong.cut, tooLong.dropped]) assert.ok(often > 10, `${often}`);
});
