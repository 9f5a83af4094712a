/** What two portals tell each other of their links: when, how often, and what becomes of it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import { DataPath } from "../../src/portal/datapath.ts";
import { LinkNews } from "../../src/portal/link-news.ts";
import type { Binding, DataPathOwner } from "../../src/portal/owner.ts";
import { type LinkIdentity, Peer } from "../../src/portal/peer.ts";
import { decodeLinkState, encodeLinkState, type LinkState } from "../../src/wire/link-state.ts";
import { TYPE } from "../../src/wire/preamble.ts";
import { harness } from "../native/harness.ts";
import { controlMessage } from "../wire/control-message.ts";

const IDENTITY: LinkIdentity = {
  ...{ name: "one", mtu: 1500, mssBytes: 1500, dscp: 0, ecn: true },
  controller: { name: "cubic" },
};

/** A peer with two links that are up. */
function scene(context: TestContext) {
  const { arena, engine } = harness(context);
  const data = new DataPath(engine, arena, {} as DataPathOwner);
  const news = new LinkNews(data);
  const peer = new Peer(
    ...([0, "peer", arena] as const),
    () => IDENTITY,
    () => assert.fail("no ladder is needed"),
  );
  for (const number of [0, 1]) peer.link(number).attach(0);
  const said: [over: number, atMs: number, news: ReturnType<typeof decodeLinkState>][] = [];
  /** What has been put into the links' outboxes. */
  const drain = (nowUs: number) => {
    for (const link of peer.bond.links) {
      for (let index = 0; index < link.outboxCount; index += 1) {
        const slot = link.outbox[index] as number;
        said.push([link.number, nowUs / MS, decodeLinkState(arena.read(slot))]);
        arena.give(slot);
      }
      link.drained(link.outboxCount);
    }
  };
  const run = (fromUs: number, untilUs: number) => {
    for (let nowUs = fromUs; nowUs < untilUs; nowUs += MS) {
      news.tick(nowUs);
      drain(nowUs);
    }
  };
  const hear = (nowUs: number, heard: LinkState) => {
    const body = encodeLinkState(heard);
    const slot = arena.take();
    arena.write(slot, controlMessage(body));
    const binding = { peer, link: 1 } as Binding;
    assert.ok(data.controls.take(nowUs, TYPE.control, binding, slot, 0));
    arena.give(slot);
  };
  const life = (number: number) => peer.link(number).life.tag;
  return { news, peer, said, drain, run, hear, life };
}

const gone = (number: number): LinkState => ({ link: 0, state: "unusable", number });
const back = (number: number): LinkState => ({ link: 0, state: "restored", number });

test("news of a link goes over another, three times", (context) => {
  const { news, peer, said, drain, run } = scene(context);
  news.tell(0, peer, 0, "unusable");
  drain(0);
  assert.equal(news.deadlineUs(), 30 * MS);
  run(0, SECOND);
  const each = [0, 30, 100].map((atMs) => [1, atMs, gone(1)]);
  assert.deepEqual(said, each);
  assert.equal(news.deadlineUs(), NEVER);
});

test("of two news about one link both are said, and only the newer again", (context) => {
  const { news, peer, said, drain, run } = scene(context);
  news.tell(0, peer, 0, "unusable");
  news.tell(0, peer, 0, "restored");
  drain(0);
  run(0, SECOND);
  assert.deepEqual(
    said.map(([, , what]) => what),
    [gone(1), back(2), back(2), back(2)],
  );
});

test("without another link the news waits for one", (context) => {
  const { news, peer, said, run } = scene(context);
  peer.link(1).unusable(0);
  news.tell(0, peer, 0, "unusable");
  assert.equal(news.deadlineUs(), NEVER, "time alone brings no link");
  run(0, SECOND);
  assert.deepEqual(said, []);
  peer.link(1).detach(SECOND);
  peer.link(1).attach(SECOND);
  run(SECOND, 2 * SECOND);
  assert.equal(said.length, 3);
});

test("a copy that no link takes any more is due when one is up again, and not at once for ever", (context) => {
  const { news, peer, said, drain, run } = scene(context);
  news.tell(0, peer, 0, "unusable");
  drain(0);
  peer.link(1).unusable(10 * MS);
  run(10 * MS, 50 * MS);
  assert.equal(news.deadlineUs(), NEVER);
  peer.link(1).detach(60 * MS);
  peer.link(1).attach(60 * MS);
  run(60 * MS, SECOND);
  assert.deepEqual(
    said.map(([, atMs]) => atMs),
    [0, 60, 130],
  );
});

test("the peer's word takes a link out and has it back; older news and unknown links are ignored", (context) => {
  const { news, peer, hear, life } = scene(context);
  hear(0, gone(5));
  assert.equal(life(0), "down");
  assert.equal(life(1), "up");
  assert.match(news.faultOf(peer, 0) ?? "", /the other portal/);
  assert.ok(peer.dirty);
  hear(MS, back(4));
  assert.match(news.faultOf(peer, 0) ?? "", /the other portal/, "that was before");
  hear(MS, back(6));
  assert.equal(news.faultOf(peer, 0), undefined);
  hear(MS, { ...gone(9), link: 9 });
  assert.equal(peer.bond.links.length, 2);
});

test("what arrives over a link that was said to be unusable, and left later, restores it", (context) => {
  const { news, peer, hear, run } = scene(context);
  hear(0, gone(1));
  const arrives = (nowUs: number, seq: number) => {
    peer.link(0).receive(nowUs, seq, 100, 60, 0, false);
    news.tick(nowUs);
  };
  arrives(700 * MS, 0);
  run(701 * MS, 1_500 * MS);
  assert.notEqual(news.faultOf(peer, 0), undefined, "it was on its way before");
  arrives(1_500 * MS, 1);
  assert.equal(news.faultOf(peer, 0), undefined);
});

test("a peer that takes its links out again and again is not believed for ever", (context) => {
  const { news, peer, hear } = scene(context);
  const link = peer.link(0);
  let downs = 0;
  for (let at = 0; at < 5_000; at += 1) {
    hear(at * MS, gone(2 * at));
    if (link.life.tag === "down") downs += 1;
    hear(at * MS, back(2 * at + 1));
    link.detach(at * MS);
    link.attach(at * MS);
  }
  assert.ok(downs >= 64 && downs <= 64 + 4 * 5, `${downs} times down in 5 s`);
  assert.equal(news.disbelieved, 5_000 - downs);
});
