/** Lost packets go out again, in order and while they are worth it; copies stay within their share. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Copies } from "../../src/bond/copies.ts";
import { Repair } from "../../src/bond/repair.ts";
import { NewReno } from "../../src/cc/newreno.ts";
import { Arena } from "../../src/core/arena.ts";
import { MS, SECOND } from "../../src/core/time.ts";
import { Link } from "../../src/link/link.ts";

function slots(arena: Arena, count: number): number[] {
  return Array.from({ length: count }, () => {
    const slot = arena.take();
    arena.length[slot] = 1000;
    return slot;
  });
}

test("lost packets go out again in the order in which they were lost", () => {
  const arena = new Arena(16);
  const repair = new Repair(arena);
  const lost = slots(arena, 3);
  for (const slot of lost) {
    repair.born(SECOND, slot);
    repair.add(slot);
  }
  const again: number[] = [];
  for (let slot = repair.peek(SECOND); slot >= 0; slot = repair.peek(SECOND)) {
    again.push(slot);
    repair.shift();
  }
  assert.deepEqual(again, lost);
  assert.equal(repair.resent, 3);
});

test("a packet half a second old is given up, wherever the clock stands", () => {
  for (const nowUs of [0, 5 * SECOND, 2 ** 32 * MS - 200 * MS]) {
    const arena = new Arena(16);
    const repair = new Repair(arena);
    const [slot = -1] = slots(arena, 1);
    repair.born(nowUs, slot);
    repair.add(slot);
    assert.equal(repair.peek(nowUs + 499 * MS), slot, `at ${nowUs}`);
    assert.ok(repair.deadlineUs(nowUs + 499 * MS) <= nowUs + 502 * MS);
    assert.equal(repair.peek(nowUs + 502 * MS), -1, `at ${nowUs}`);
    assert.equal(repair.abandoned, 1);
    assert.equal(arena.freeCount, arena.slotCount);
  }
});

test("a packet that a suspect link lends may be older by what answers take there", () => {
  const arena = new Arena(16);
  const controller = new NewReno(1500);
  const link = new Link({ number: 0, name: "l0", arena, controller, mssBytes: 1500 });
  link.attach(0);
  const repair = new Repair(arena);
  const [slot = -1] = slots(arena, 1);
  repair.born(0, slot);
  link.send(0, slot, 0, 1, 0, true);
  arena.give(slot);
  link.drained(1);
  link.place(0, false);
  while (link.up) link.tick(link.deadlineUs(0));
  assert.equal(link.life.tag, "suspect");
  assert.ok(link.rtt.srttUs === 200 * MS);
  repair.borrow(link);
  assert.equal(repair.peek(699 * MS), slot);
  assert.ok(repair.deadlineUs(699 * MS) <= 702 * MS);
  assert.equal(repair.peek(702 * MS), -1);
  assert.equal(repair.abandoned, 1);
});

test("more losses than it holds are given up, and every slot comes home", () => {
  const arena = new Arena(8192);
  const repair = new Repair(arena);
  for (const slot of slots(arena, 5000)) {
    repair.born(0, slot);
    repair.add(slot);
  }
  assert.equal(repair.packets, 4096);
  assert.equal(repair.abandoned, 5000 - 4096);
  repair.clear();
  assert.equal(arena.freeCount, arena.slotCount);
});

test("copies stay within a tenth of what the links carry, and carry the same octets", () => {
  const arena = new Arena(4096);
  const copies = new Copies(arena);
  const [slot = -1] = slots(arena, 1);
  arena.octets.fill(7, arena.start[slot], (arena.start[slot] as number) + 1000);
  // 1 octet a microsecond: a tenth is 100 packets of 1000 octets a second.
  let made = 0;
  for (let nowUs = 0; nowUs < 10 * SECOND; nowUs += MS) {
    const copy = copies.make(nowUs, slot, 1);
    if (copy < 0) continue;
    made += 1;
    assert.deepEqual(arena.read(copy), arena.read(slot));
    arena.give(copy);
  }
  assert.ok(made >= 1000 && made <= 1015, `${made}`);
  assert.equal(copies.make(20 * SECOND, slot, 0), -1, "nothing is carried");
});
