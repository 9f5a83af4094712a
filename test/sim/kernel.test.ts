/** The emulator itself: time, pipes and TCP models do what their names say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Arena } from "../../src/core/arena.ts";
import { SeededRandom } from "../../src/core/random.ts";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import { EventQueue } from "./events.ts";
import { LossModel } from "./loss.ts";
import { Pipe, type PipeSpec } from "./pipe.ts";
import { Histogram } from "./record.ts";
import { Steps } from "./steps.ts";
import { World } from "./world.ts";

test("processes are woken in the order of their times, then of being set", () => {
  const moments = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 });
  fc.assert(
    fc.property(moments, moments, (first, second) => {
      const events = new EventQueue();
      const woken: number[] = [];
      const ids = first.map((_, index) => events.register({ wake: () => woken.push(index) }));
      const expected: { readonly atUs: number; readonly order: number; readonly index: number }[] =
        [];
      let order = 0;
      ids.forEach((id, index) => {
        const again = second[index];
        events.set(id, first[index] as number);
        order += 1;
        if (again === undefined) expected.push({ atUs: first[index] as number, order, index });
      });
      ids.forEach((id, index) => {
        const again = second[index];
        if (again === undefined) return;
        const moved = again !== first[index];
        events.set(id, again);
        if (moved) order += 1;
        expected.push({ atUs: again, order: moved ? order : index + 1, index });
      });
      events.run(100);
      expected.sort((x, y) => x.atUs - y.atUs || x.order - y.order);
      assert.deepEqual(
        woken,
        expected.map(({ index }) => index),
      );
    }),
  );
});

test("a process that waits for nothing is not woken", () => {
  const events = new EventQueue();
  let woken = 0;
  const id = events.register({ wake: () => (woken += 1) });
  events.set(id, 5);
  events.set(id, NEVER);
  events.run(10);
  assert.equal(woken, 0);
});

test("service across steps takes what each step gives, and none while the rate is 0", () => {
  const steps = new Steps(
    [
      [0, 10],
      [1, 0],
      [3, 20],
    ],
    1,
  );
  assert.equal(steps.served(0, 5000), 500);
  assert.equal(steps.served(500, 5000), 1000);
  assert.equal(steps.served(500, 15_000), 3500);
  assert.equal(steps.integral(500, 4000), 5000 + 20_000);
});

interface Arrival {
  readonly atUs: number;
  readonly slot: number;
}

/** Sends packets of 1000 octets at the given moments into a pipe; returns what arrives. */
function through(spec: PipeSpec, sentUs: readonly number[]): { pipe: Pipe; arrivals: Arrival[] } {
  const arena = new Arena(4096);
  const events = new EventQueue();
  const pipe = new Pipe(arena, events, spec, new SeededRandom(1));
  const arrivals: Arrival[] = [];
  const port = pipe.connect({
    arrive: (atUs, slot) => {
      arrivals.push({ atUs, slot });
    },
    settle: () => {},
  });
  for (const atUs of sentUs) {
    events.run(atUs);
    pipe.offer(atUs, port, arena.take(), 1000, 0);
  }
  events.run(60 * SECOND);
  return { pipe, arrivals };
}

/** What the wake-up behind an arrival adds. */
const WAKE_US = 50;

test("a pipe serves at its rate, delays, and keeps order under jitter", () => {
  // 8 Mbit/s: an octet each microsecond.
  const { arrivals } = through({ rateMbit: 8, delayMs: 10 }, [0, 0, 5000]);
  assert.deepEqual(
    arrivals.map(({ atUs }) => atUs - WAKE_US),
    [11_000, 12_000, 16_000],
  );
  const many = Array.from({ length: 200 }, (_, index) => index * 1000);
  const jittery = through({ rateMbit: 8, delayMs: 10, jitterMs: 20 }, many).arrivals;
  const slots = jittery.map(({ slot }) => slot);
  assert.deepEqual(
    slots,
    slots.toSorted((x, y) => x - y),
  );
});

test("a full queue drops what comes, in octets", () => {
  const burst = new Array(20).fill(0);
  const { pipe, arrivals } = through({ rateMbit: 8, delayMs: 1, queueBytes: 5000 }, burst);
  // One in service, five that wait.
  assert.equal(arrivals.length, 6);
  assert.equal(pipe.counts.dropped, 14);
  assert.equal(pipe.queueDelay.maxUs, 5000);
});

test("losses are as asked: by number, by count, by share in bursts", () => {
  const lost = (model: LossModel, count: number) =>
    Array.from({ length: count }, (_, number) => model.loses(number));
  const random = () => new SeededRandom(7);
  const named = lost(new LossModel({ kind: "numbers", numbers: [1, 3] }, random()), 5);
  assert.deepEqual(named, [false, true, false, true, false]);
  assert.deepEqual(lost(new LossModel({ kind: "after", count: 2 }, random()), 4), [
    false,
    false,
    true,
    true,
  ]);
  const bursts = lost(new LossModel({ kind: "bursts", share: 0.02, burst: 5 }, random()), 500_000);
  const count = bursts.filter(Boolean).length;
  const runs = bursts.filter((one, at) => one && bursts[at - 1] !== true).length;
  assert.ok(Math.abs(count / 500_000 - 0.02) < 0.002, `share ${count / 500_000}, seed 7`);
  assert.ok(Math.abs(count / runs - 5) < 0.3, `mean burst ${count / runs}, seed 7`);
});

test("a policer lets through its burst, then its rate", () => {
  const sent = Array.from({ length: 1000 }, (_, index) => index * 100);
  const policer = { rateMbit: 8, burstBytes: 20_000 };
  const { arrivals } = through({ rateMbit: 1000, delayMs: 1, policer }, sent);
  // 100 ms at an octet a microsecond, and the burst.
  assert.ok(Math.abs(arrivals.length - 120) <= 1, `${arrivals.length}`);
});

test("quantiles of a histogram are those of its values", () => {
  const histogram = new Histogram();
  for (let value = 1; value <= 1000; value += 1) histogram.add(value * MS);
  assert.ok(Math.abs(histogram.quantileMs(0.5) - 500) < 0.2);
  assert.ok(Math.abs(histogram.quantileMs(0.95) - 950) < 0.2);
});

test("plain cubic fills a link, obeys its window and recovers what is lost", () => {
  const world = new World({ seed: 1, links: [{ up: { rateMbit: 50, delayMs: 10, queueMs: 40 } }] });
  const flow = world.tcp({ beside: 0 });
  world.run(5 * SECOND);
  world.mark();
  world.run(25 * SECOND);
  const possible = 50 * (1448 / 1500);
  assert.ok(flow.goodputMbit() > 0.97 * possible, `${flow.goodputMbit()} Mbit/s, seed 1`);
  assert.ok(flow.sender.recoveries > 0, "it meets the end of the buffer");
  assert.equal(flow.sender.timeouts, 0);
  assert.equal(flow.receiver.duplicates, 0, "nothing is sent again that was not lost");
  assert.ok(flow.sender.resent >= (world.paths[0]?.up.counts.dropped ?? 0));
});

test("plain cubic suffers from random loss as theory says, the BBR model hardly", () => {
  const loss = { kind: "random", share: 0.001 } as const;
  const pipe = { rateMbit: 100, delayMs: 10 };
  const goodput = (law: "cubic" | "bbr") => {
    const world = new World({ seed: 2, links: [{ up: { ...pipe, loss }, down: pipe }] });
    const flow = world.tcp({ beside: 0, law });
    world.run(5 * SECOND);
    world.mark();
    world.run(25 * SECOND);
    return flow.goodputMbit();
  };
  // RFC 9438 section 5.1: in the region of Reno, about sqrt(3/2 / p) segments a round trip.
  const theory = (Math.sqrt(1.5 / 0.001) * 1448 * 8) / 20_400;
  const cubic = goodput("cubic");
  assert.ok(cubic > 0.6 * theory && cubic < 1.5 * theory, `${cubic} for ${theory}, seed 2`);
  assert.ok(goodput("bbr") > 85, "seed 2");
});

test("two plain cubic flows share a link evenly", () => {
  const world = new World({ seed: 3, links: [{ up: { rateMbit: 50, delayMs: 10, queueMs: 40 } }] });
  const flows = [world.tcp({ beside: 0 }), world.tcp({ beside: 0, startUs: 1 * SECOND })];
  world.run(20 * SECOND);
  world.mark();
  world.run(80 * SECOND);
  const [first = 0, second = 0] = flows.map((flow) => flow.goodputMbit());
  const share = first / (first + second);
  assert.ok(share > 0.35 && share < 0.65, `share ${share}, seed 3`);
});

test("a short flow ends, and its end is told once", () => {
  const world = new World({ seed: 4, links: [{ up: { rateMbit: 20, delayMs: 10 } }] });
  let ends = 0;
  world.tcp({ beside: 0, bytes: 100_000, onDone: () => (ends += 1) });
  world.run(5 * SECOND);
  assert.equal(ends, 1);
});

test("a sender's account of its segments comes out even, whatever is lost, both laws", () => {
  for (const law of ["cubic", "bbr"] as const) {
    for (const seed of [1, 2, 3, 4]) {
      const loss = { kind: "bursts", share: 0.05, burst: 3 } as const;
      const pipe = { rateMbit: 20, delayMs: 15, jitterMs: 10, queueMs: 30, loss };
      const world = new World({ seed, links: [{ up: pipe }] });
      let ends = 0;
      const bytes = 2_000_000;
      const { sender, receiver } = world.tcp({ beside: 0, law, bytes, onDone: () => (ends += 1) });
      world.run(200 * SECOND);
      const { board } = sender;
      const what = `${law}, seed ${seed}`;
      assert.equal(ends, 1, what);
      assert.equal(board.una, board.next, what);
      assert.equal(receiver.next, board.next, what);
      assert.deepEqual([board.sackedOut, board.lostOut, board.resentOut], [0, 0, 0], what);
      assert.ok(sender.resent > 0, what);
    }
  }
});
