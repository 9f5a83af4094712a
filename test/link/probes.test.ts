/** Probes of a link that is silent: sent as long as it is down, and never themselves a loss. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NewReno } from "../../src/cc/newreno.ts";
import { Arena } from "../../src/core/arena.ts";
import { SECOND } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";
import { newFeedback } from "../../src/wire/feedback.ts";

test("a link that was down for two days is probed to the end, and its probes are no loss", () => {
  const arena = new Arena(64);
  const controller = new NewReno(1500);
  const link = new Link({ number: 0, name: "l0", arena, controller, mssBytes: 1500 });
  link.attach(0);
  let nowUs = 0;
  const tick = () => {
    nowUs = Math.max(link.deadlineUs(nowUs), nowUs);
    link.tick(nowUs);
    for (let index = 0; index < link.outboxCount; index += 1) {
      arena.give(link.outbox[index] as number);
    }
    link.drained(link.outboxCount);
  };
  while (nowUs < 48 * 3600 * SECOND) tick();
  assert.equal(link.life.tag, "down");
  const before = link.counters.probesSent;
  tick();
  tick();
  assert.ok(link.counters.probesSent > before, "still probing");
  const feedback = newFeedback();
  feedback.largest = link.sender.nextSeq - 1;
  feedback.rangeCount = 1;
  link.acknowledge(nowUs + 20_000, feedback, true);
  assert.equal(link.life.tag, "up");
  assert.ok(link.sender.lossShare < 0.01, `${link.sender.lossShare}`);
});

test("a link is not doubted for want of an answer to what is known to be lost", () => {
  const arena = new Arena(64);
  const controller = new NewReno(1500);
  const link = new Link({ number: 0, name: "l0", arena, controller, mssBytes: 1500 });
  link.attach(0);
  for (const order of [1, 2]) {
    const slot = arena.take();
    arena.length[slot] = 100;
    link.send(SECOND, slot, 0, order, 0, false);
  }
  const feedback = newFeedback();
  feedback.largest = 1;
  feedback.rangeCount = 1;
  link.acknowledge(1.02 * SECOND, feedback, true);
  assert.ok(!link.sender.idle, "one may be late");
  let nowUs = 1.02 * SECOND;
  while (link.deadlineUs(nowUs) < 1.2 * SECOND) {
    nowUs = Math.max(link.deadlineUs(nowUs), nowUs);
    link.tick(nowUs);
  }
  assert.ok(link.sender.idle);
  assert.equal(link.sender.packetsLost, 1);
  assert.equal(link.liveness.doubts, 0);
  assert.ok(link.up);
});
