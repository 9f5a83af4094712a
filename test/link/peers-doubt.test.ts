/** What the way of reports tells of a link whose directions share a connection. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NewReno } from "../../src/cc/newreno.ts";
import { Arena } from "../../src/core/arena.ts";
import { MS, NEVER } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";
import { newFeedback } from "../../src/wire/feedback.ts";

/** A link under traffic, with one packet more in flight at each call of `report`, which acknowledges it. */
function busy(shared: boolean) {
  const arena = new Arena(64);
  const controller = new NewReno(1500);
  const link = new Link({ number: 0, name: "l0", arena, controller, mssBytes: 1500 });
  link.attach(0);
  link.shared = shared;
  let nowUs = 0;
  const report = (own: boolean): string => {
    const slot = arena.take();
    arena.length[slot] = 100;
    link.send(nowUs, slot, 0, 1, 0, false);
    nowUs += 20 * MS;
    const feedback = newFeedback();
    feedback.rangeCount = 1;
    feedback.largest = link.sender.nextSeq - 1;
    feedback.receivedUs = nowUs - 10 * MS;
    link.acknowledge(nowUs, feedback, own);
    link.drained(link.outboxCount);
    return link.life.tag;
  };
  const pass = (forUs: number): string => {
    for (const endUs = nowUs + forUs; nowUs < endUs; nowUs += MS) {
      link.tick(nowUs);
      link.drained(link.outboxCount);
    }
    return link.life.tag;
  };
  return { link, report, pass };
}

test("reports that leave a shared connection for a while say that the peer doubts it, until they come by it again", () => {
  const { link, report } = busy(true);
  assert.deepEqual([report(true), report(true)], ["up", "up"]);
  // 0, 20, 40 ms since the first of them.
  assert.deepEqual([report(false), report(false), report(false)], ["up", "up", "suspect"]);
  assert.equal(report(false), "suspect");
  assert.equal(link.liveness.doubts, 1);
  assert.equal(report(true), "up");
});

test("a short doubt of the peer's is no news", () => {
  const { link, report } = busy(true);
  for (const own of [true, false, false, true, false, false, true]) report(own);
  assert.equal(link.liveness.doubts, 0);
});

test("reports by another link keep no shared connection alive, and bring one back that was down", () => {
  const { report, pass } = busy(true);
  report(true);
  for (let count = 0; count < 4; count += 1) report(false);
  assert.equal(pass(100 * MS), "suspect");
  assert.equal(report(false), "suspect");
  assert.equal(pass(1000 * MS), "down");
  for (let count = 0; count < 5; count += 1) {
    assert.equal(report(false), "up", "the peer hears of it later");
  }
});

test("one that says nothing new tells of the peer's doubt too, and a late one by the link of nothing", () => {
  const { link, report } = busy(true);
  report(true);
  const again = newFeedback();
  again.rangeCount = 1;
  again.largest = link.sender.nextSeq - 1;
  for (const atMs of [21, 71]) link.acknowledge(atMs * MS, again, false);
  assert.equal(link.life.tag, "suspect");
  link.acknowledge(72 * MS, again, true);
  assert.equal(report(false), "suspect");
  assert.equal(report(true), "up");
});

test("who doubts a shared connection reports although there is nothing new", () => {
  for (const shared of [true, false]) {
    const { link, report, pass } = busy(shared);
    report(true);
    const sentUs = 20 * MS;
    link.receive(sentUs, 0, 100, 80, 0, false);
    link.receipts.report(sentUs, newFeedback());
    assert.equal(link.feedbackDeadlineUs(), NEVER);
    link.send(sentUs, 0, 0, 1, 0, false);
    assert.equal(pass(150 * MS), "suspect");
    assert.equal(link.feedbackDeadlineUs() < NEVER, shared);
  }
});

test("directions that do not share a connection are judged each by its own answers", () => {
  const { link, report } = busy(false);
  for (const own of [true, false, false, false, false, false]) assert.equal(report(own), "up");
  assert.equal(link.liveness.doubts, 0);
});
