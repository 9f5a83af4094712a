/** Random faults in virtual time: hundreds of schedules, and that the checks on them can fail. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../../../src/core/arena.ts";
import { SeededRandom } from "../../../src/core/random.ts";
import { MS } from "../../../src/core/time.ts";
import { EventQueue } from "../events.ts";
import { writeUdp } from "../packets.ts";
import { World } from "../world.ts";
import { failureLines, playSeeds } from "./command.ts";
import { FAULT_KINDS, type Fault } from "./fault.ts";
import { Ledger } from "./ledger.ts";
import { Limits } from "./limits.ts";
import { Reasons } from "./reasons.ts";
import { randomSchedule, SCALES, type Schedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import { TamperedWay, type WayFault } from "./tampered-way.ts";
import { playSchedule } from "./trial.ts";

const SCHEDULES = 200;

test(`${SCHEDULES} random schedules of faults hold`, async () => {
  const outcomes = await playSeeds({ seed: 1, schedules: SCHEDULES, scale: "brief" });
  const failed = outcomes.filter(({ trial }) => trial.wrong.length > 0);
  assert.equal(failed.length, 0, failed.flatMap(failureLines).join("\n"));
  assert.equal(outcomes.length, SCHEDULES);
  const kinds = new Set(
    outcomes.flatMap(({ schedule }) => schedule.faults.map(({ kind }) => kind)),
  );
  assert.deepEqual([...kinds].sort(), [...FAULT_KINDS].sort(), "every kind of fault happens");
});

test("the same seed gives the same schedule and the same trial, another seed others", () => {
  const play = (seed: number) => playSchedule(randomSchedule(seed, SCALES.brief));
  const first = play(11);
  assert.deepEqual(play(11), first, "seed 11");
  assert.notEqual(play(12).hash, first.hash, "seeds 11 and 12");
});

/** Two links that are well but for these faults. */
function schedule(faults: readonly Fault[]): Schedule {
  const link = { upMbit: 2, downMbit: 2, delayMs: 10, jitterMs: 0, queueMs: 100 };
  return { seed: 1, links: [link, { ...link, delayMs: 20 }], faults, healMs: 3_000, endMs: 7_000 };
}

test("a trial fails when links do not come back, and a smaller schedule shows it", () => {
  const forever = { kind: "cut", link: 1, way: "both", fromMs: 2_000, toMs: 60_000 } as const;
  const passing = {
    kind: "loss",
    link: 0,
    way: "up",
    share: 0.1,
    fromMs: 1_500,
    toMs: 2_500,
  } as const;
  assert.deepEqual(playSchedule(schedule([passing])).wrong, []);
  const { wrong } = playSchedule(schedule([passing, forever]));
  assert.match(wrong.join("\n"), /link 1 is down at A(.|\n)*link 1 is down at B/);
  const fails = (smaller: Schedule) => playSchedule(smaller).wrong.length > 0;
  assert.deepEqual(shrink(schedule([passing, forever, passing]), fails).faults, [forever]);
});

test("a portal that was killed is found again by RESET, and by its peer's silence without", () => {
  for (const portal of ["a", "b"] as const) {
    for (const remembers of [true, false]) {
      const killed = { kind: "restart", portal, remembers, fromMs: 1_500, toMs: 2_000 } as const;
      const { wrong, values } = playSchedule(schedule([killed]));
      assert.deepEqual(wrong, [], `${portal}, ${remembers}`);
      assert.equal(values.renewals, 2, "one new session at each portal");
    }
  }
});

test("a link whose address changes is followed by the peer, known to its owner or not", () => {
  for (const kind of ["rebind", "roam"] as const) {
    const change = { kind, link: 1, fromMs: 1_500, toMs: kind === "roam" ? 2_000 : 1_500 };
    const { wrong, values } = playSchedule(schedule([change]));
    assert.deepEqual([wrong, values.moves, values.renewals], [[], 1, 0], kind);
  }
  const again = (fromMs: number) => ({ kind: "rebind", link: 1, fromMs, toMs: fromMs }) as const;
  const { wrong, values } = playSchedule(schedule([again(1_500), again(2_900)]));
  assert.deepEqual([wrong, values.moves], [[], 2]);
  // Of a new address from which nothing arrives B cannot know.
  const deaf = { kind: "cut", link: 1, way: "up", fromMs: 1_500, toMs: 60_000 } as const;
  assert.match(playSchedule(schedule([again(1_500), deaf])).wrong.join(), /link 1 is down at B/);
});

test("new keys cost no packet and disturb no order", () => {
  const at = (fromMs: number) => ({ kind: "rekey", fromMs, toMs: fromMs }) as const;
  const { wrong, values } = playSchedule(schedule([at(1_500), at(2_500)]));
  const { rekeys, renewals, lost, overtaken } = values;
  assert.deepEqual([wrong, rekeys, renewals, lost, overtaken], [[], 2, 0, 0, 0]);
});

/** A UDP packet as it comes out of the TUN. */
function packet(arena: Arena, number: number): number {
  const slot = arena.take();
  const flow = { source: 1, destination: 2, sourcePort: 10, destinationPort: 11, trafficClass: 0 };
  writeUdp(arena, slot, 1_400, flow, number, 0);
  return slot;
}

/** A ledger, two packets in it that have left, and what it complains of. */
function ledger(): { arena: Arena; ledger: Ledger; slots: number[]; wrong: string[] } {
  const arena = new Arena(8);
  const wrong: string[] = [];
  const book = new Ledger(arena, (what) => wrong.push(what));
  const slots = [packet(arena, 1), packet(arena, 2)];
  for (const slot of slots) {
    book.enter(0, slot);
    // The preamble of a message without order, all but its type unread.
    arena.start[slot] = (arena.start[slot] as number) - 8;
    arena.length[slot] = 1_408;
    arena.octets[arena.start[slot] as number] = 0x90;
    book.leave(1 * MS, slot);
    arena.start[slot] = (arena.start[slot] as number) + 8;
    arena.length[slot] = 1_400;
  }
  return { arena, ledger: book, slots, wrong };
}

test("the ledger notices packets that come twice, changed, overtaken, or from nowhere", () => {
  const { arena, ledger: book, slots, wrong } = ledger();
  const [first = -1, second = -1] = slots;
  let overtaken = 0;
  book.onOvertaken = () => (overtaken += 1);
  book.emerge(5 * MS, second);
  assert.deepEqual([wrong.length, overtaken, book.lost(() => true)], [0, 0, 1]);
  book.emerge(5 * MS, second);
  assert.match(wrong.pop() ?? "", /packet 1 came out twice/);
  arena.view.setUint32((arena.start[first] as number) + 28, 99);
  book.emerge(6 * MS, first);
  assert.match(wrong.pop() ?? "", /packet 0 came out as another one/);
  arena.view.setUint32((arena.start[first] as number) + 28, 1);
  book.emerge(7 * MS, first);
  assert.deepEqual([wrong.length, overtaken, book.lost(() => true)], [0, 1, 0]);
  assert.deepEqual([book.entered, book.left, book.emerged, book.delayMaxUs], [2, 2, 2, 7 * MS]);
  book.emerge(8 * MS, packet(arena, 3));
  const waiting = packet(arena, 4);
  book.enter(8 * MS, waiting);
  book.emerge(8 * MS, waiting);
  assert.equal(wrong.length, 2, "neither had left");
});

test("limits are looked at: a timer that is always due, a batch that nobody took", () => {
  const world = new World({ seed: 1, links: [{ up: { rateMbit: 10, delayMs: 10 } }] });
  const wrong: string[] = [];
  const limits = new Limits(world.a, "A", (what) => wrong.push(what));
  limits.look(0);
  assert.deepEqual(wrong, []);
  world.a.overdue = 1_000;
  limits.look(0);
  assert.match(wrong.pop() ?? "", /something due still/);
  world.a.overdue = 0;
  world.a.bond.arrived.readyCount = 1;
  limits.look(0);
  assert.match(wrong.pop() ?? "", /readyCount is 1/);
});

test("losses are excused while every link is disturbed, and only then", () => {
  const cut = (link: number, fromMs: number, toMs: number): Fault => ({
    ...{ kind: "cut", link, way: "up", fromMs, toMs },
  });
  const one = new Reasons(schedule([cut(0, 1_000, 2_000)]));
  assert.equal(one.mayLose(1_500 * MS), false, "the other link is well");
  assert.equal(one.calm(1_500 * MS), false);
  const both = new Reasons(schedule([cut(0, 1_000, 2_000), cut(1, 1_500, 1_600)]));
  assert.equal(both.mayLose(1_550 * MS), true);
  assert.equal(both.mayLose(200 * MS), false, "too long before");
  assert.equal(both.mayLose(10_000 * MS), false, "too long after");
  assert.equal(both.calm(10_000 * MS), true);
  both.renewed(10_000 * MS);
  assert.equal(both.mayLose(10_000 * MS), true, "a new session");
});

/** Sends packets of 1000 and 1430 octets through a way with this fault; when each came out, ms. */
function through(fault: WayFault): { short: number[]; long: number[] } {
  const arena = new Arena(64);
  const events = new EventQueue();
  const out: { short: number[]; long: number[] } = { short: [], long: [] };
  const way = new TamperedWay(arena, events, new SeededRandom(1), {
    arrive: (nowUs, slot) => {
      (arena.length[slot] === 1_000 ? out.short : out.long).push(nowUs / MS);
      arena.give(slot);
    },
    settle: () => {},
  });
  way.begin(fault);
  for (const bytes of [1_000, 1_430]) {
    const slot = arena.take();
    arena.length[slot] = bytes;
    way.arrive(0, slot, 0);
  }
  events.run(1_000 * MS);
  assert.equal(arena.freeCount, arena.slotCount);
  return out;
}

test("packets at the end of a path are stopped, copied and late as the fault says", () => {
  const on = { link: 0, way: "up", fromMs: 0, toMs: 1 } as const;
  assert.deepEqual(through({ kind: "cut", ...on }), { short: [], long: [] });
  assert.deepEqual(through({ kind: "mtu", octets: 1_280, ...on }), { short: [0], long: [] });
  assert.deepEqual(through({ kind: "loss", share: 1, ...on }), { short: [], long: [] });
  const copies = through({ kind: "copies", share: 1, laterMs: 50, ...on });
  assert.deepEqual([copies.short.length, copies.short[0]], [2, 0]);
  const late = through({ kind: "late", share: 1, laterMs: 50, ...on });
  assert.ok((late.short[0] ?? 0) > 0 && (late.short[0] ?? 0) <= 50, `${late.short[0]}`);
});
