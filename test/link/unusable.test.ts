/** A link of which it is known that it is of no use, and later that it may be again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NewReno } from "../../src/cc/newreno.ts";
import { Arena } from "../../src/core/arena.ts";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";
import { newFeedback } from "../../src/wire/feedback.ts";

function attached(): { arena: Arena; link: Link; controller: NewReno } {
  const arena = new Arena(64);
  const controller = new NewReno(1500);
  const link = new Link({ number: 0, name: "l0", arena, controller, mssBytes: 1500 });
  link.attach(0);
  return { arena, link, controller };
}

/** Stamps a packet that is held; it stays in the outbox unless `leaves`. */
function send(arena: Arena, link: Link, order: number, leaves: boolean, nowUs = 0): number {
  const slot = arena.take();
  arena.length[slot] = 100;
  link.send(nowUs, slot, 0, order, 0, true);
  if (!leaves) return slot;
  for (let index = 0; index < link.outboxCount; index += 1) {
    arena.give(link.outbox[index] as number);
  }
  link.drained(link.outboxCount);
  return slot;
}

const lostBy = (link: Link): number[] => {
  const lost: number[] = [];
  for (let slot = link.sender.takeLost(); slot >= 0; slot = link.sender.takeLost()) lost.push(slot);
  return lost;
};

test("everything unanswered is lost at once, what a full socket has left included, and nothing is tried", () => {
  const { arena, link, controller } = attached();
  const slots = [send(arena, link, 1, true), send(arena, link, 2, false)];
  link.blocked = true;
  const before = controller.cwndBytes;
  link.unusable(10 * MS);
  assert.equal(link.life.tag, "down");
  assert.deepEqual(lostBy(link), slots);
  assert.equal(link.outboxCount, 0);
  assert.equal(link.deadlineUs(10 * MS), NEVER);
  assert.equal(controller.cwndBytes, before, "that it is gone says nothing of congestion");
  link.unusable(20 * MS);
  assert.equal(link.deadlineUs(20 * MS), NEVER);
});

test("it is asked at once when it may be of use again, and up when it answers", () => {
  const { arena, link } = attached();
  send(arena, link, 1, true);
  link.unusable(10 * MS);
  link.restored(5 * SECOND);
  assert.equal(link.deadlineUs(5 * SECOND), 5 * SECOND);
  link.tick(5 * SECOND);
  assert.equal(link.outboxCount, 1, "a probe");
  assert.equal(link.deadlineUs(5 * SECOND), 5.1 * SECOND);
  const feedback = newFeedback();
  feedback.largest = link.sender.nextSeq - 1;
  feedback.rangeCount = 1;
  link.acknowledge(5.02 * SECOND, feedback, true);
  assert.ok(link.up);
});

test("what other links tell of earlier arrivals does not bring it back, an answer over itself does", () => {
  const { arena, link } = attached();
  for (let order = 1; order <= 3; order += 1) send(arena, link, order, true);
  link.unusable(10 * MS);
  const feedback = newFeedback();
  feedback.rangeCount = 1;
  link.acknowledge(15 * MS, feedback, false);
  assert.equal(link.life.tag, "down");
  assert.equal(link.deadlineUs(15 * MS), NEVER);
  feedback.largest = 1;
  link.acknowledge(30 * MS, feedback, true);
  assert.ok(link.up);
});

test("that it was away is known when it answers, whatever other links have told meanwhile", () => {
  const { arena, link, controller } = attached();
  const resets: string[] = [];
  controller.onPathReset = (_nowUs, reason) => resets.push(reason);
  const feedback = newFeedback();
  feedback.rangeCount = 1;
  const answer = (nowUs: number, seq: number, own: boolean): void => {
    feedback.largest = seq;
    feedback.receivedUs = nowUs - 5 * MS;
    link.acknowledge(nowUs, feedback, own);
  };
  send(arena, link, 1, true, 10 * MS);
  send(arena, link, 2, true, 25 * MS);
  answer(30 * MS, 0, true);
  link.unusable(35 * MS);
  answer(40 * MS, 1, false);
  assert.deepEqual(resets, []);
  link.restored(500 * MS);
  link.tick(500 * MS);
  answer(540 * MS, link.sender.nextSeq - 1, true);
  assert.ok(link.up);
  assert.deepEqual(resets, ["absence"]);
});

test("neither word means anything before a link is attached, nor the second to one that is up", () => {
  const arena = new Arena(64);
  const link = new Link({
    ...{ number: 0, name: "l0", arena, controller: new NewReno(1500), mssBytes: 1500 },
  });
  link.unusable(1);
  link.restored(2);
  assert.equal(link.life.tag, "connecting");
  link.attach(3);
  link.restored(4);
  assert.deepEqual(link.life, { tag: "up", sinceUs: 3 });
});
