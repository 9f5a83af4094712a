/** A link whose packets go another way: its numbers go on, and what was sent into the dark is given up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NewReno } from "../../src/cc/newreno.ts";
import { Arena } from "../../src/core/arena.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";
import { TYPE } from "../../src/wire/preamble.ts";

function attachedLink(): { readonly arena: Arena; readonly link: Link } {
  const arena = new Arena(64);
  const controller = new NewReno(1500);
  const link = new Link({ number: 0, name: "l0", arena, controller, mssBytes: 1500 });
  link.attach(0);
  return { arena, link };
}

function sendOne(arena: Arena, link: Link, nowUs: number, keep: boolean): number {
  const slot = arena.take();
  arena.length[slot] = 100;
  link.send(nowUs, slot, 0, 1, 0, keep);
  for (let index = 0; index < link.outboxCount; index += 1)
    arena.give(link.outbox[index] as number);
  link.drained(link.outboxCount);
  return slot;
}

test("a held link takes no packet and sends no probe, whatever its window says", () => {
  const { link } = attachedLink();
  assert.ok(link.mayTake(0, 100));
  link.held = true;
  assert.ok(!link.mayTake(0, 100));
  assert.ok(!link.mayTakeUrgent(100));
  link.tick(SECOND);
  assert.equal(link.outboxCount, 0);
  link.held = false;
  assert.ok(link.mayTake(SECOND, 100));
});

test("a held link reports nothing, but says what the session has to say", () => {
  const { arena, link } = attachedLink();
  link.held = true;
  assert.ok(!link.sendControl(arena.take(), TYPE.feedback));
  assert.ok(link.sendControl(arena.take(), TYPE.control));
  link.held = false;
  assert.ok(link.sendControl(arena.take(), TYPE.feedback));
});

test("what was on the dead way is handed back for repair, and numbers go on", () => {
  const { arena, link } = attachedLink();
  const slot = sendOne(arena, link, 0, true);
  const next = link.sender.nextSeq;
  link.recarried(10 * MS, true);
  assert.equal(link.sender.inFlightBytes, 0);
  assert.equal(link.sender.takeLost(), slot);
  assert.equal(link.sender.nextSeq, next);
  assert.equal(link.unansweredSinceUs, Number.POSITIVE_INFINITY);
});

test("what is on a way that still works stays in flight", () => {
  const { arena, link } = attachedLink();
  sendOne(arena, link, 0, true);
  link.recarried(10 * MS, false);
  assert.notEqual(link.sender.inFlightBytes, 0);
  assert.equal(link.sender.takeLost(), -1);
});

test("a link that is down asks by the new way at once", () => {
  const { arena, link } = attachedLink();
  sendOne(arena, link, 0, false);
  for (let nowUs = 0; nowUs < 2 * SECOND; nowUs = link.deadlineUs(nowUs)) link.tick(nowUs);
  assert.equal(link.life.tag, "down");
  link.tick(2 * SECOND);
  link.drained(link.outboxCount);
  assert.ok(link.deadlineUs(2 * SECOND) > 2 * SECOND);
  link.recarried(2 * SECOND, true);
  assert.equal(link.deadlineUs(2 * SECOND), 2 * SECOND);
});
