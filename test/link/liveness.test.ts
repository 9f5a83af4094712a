/** When a link is doubted, given up and probed; times in milliseconds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Rtt } from "../../src/cc/rtt.ts";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import { type Due, Liveness } from "../../src/link/liveness.ts";

interface Known {
  rtt: Rtt;
  answerHeldUs: number;
  oldestSentUs: number;
}

interface Steady {
  readonly liveness: Liveness;
  readonly known: Known;
}

/** An attached link with a steady round trip, whose peer reports each quarter of it. */
function steady(rttMs: number, keepaliveUs?: number): Steady {
  const rtt = new Rtt();
  for (let count = 0; count < 50; count += 1) rtt.sample(rttMs * MS, 0, true);
  const known: Known = { rtt, answerHeldUs: (rttMs / 4) * MS, oldestSentUs: NEVER };
  const liveness = new Liveness(known, keepaliveUs);
  liveness.attached(0);
  return { liveness, known };
}

/** Runs to `untilMs` as a link would; what was done and when, probes being sent. */
function course(liveness: Liveness, untilMs: number): [atMs: number, what: Due][] {
  const done: [number, Due][] = [];
  for (let nowUs = 0; ; ) {
    nowUs = Math.max(liveness.deadlineUs(nowUs), nowUs);
    if (nowUs > untilMs * MS) return done;
    const due = liveness.due(nowUs);
    if (due !== "nothing") done.push([Math.round(nowUs / MS), due]);
    if (due === "probe") liveness.sent(nowUs);
  }
}

test("under traffic three missing reports are enough, and silence lasts 200 ms", () => {
  const { liveness, known } = steady(20);
  // Sent all the time; the last answer came at 0, so the oldest in flight is a round trip old.
  liveness.sent(-20 * MS);
  liveness.answered(0, false);
  known.oldestSentUs = -20 * MS;
  const done = course(liveness, 210);
  const probes = [20, 40, 60, 80, 100, 120, 140, 160, 180].map((atMs) => [atMs, "probe"]);
  assert.deepEqual(done, [...probes, [200, "silent"], [200, "probe"]]);
  assert.equal(liveness.life.tag, "down");
});

test("a lone packet is waited for as long as its answer takes", () => {
  const { liveness, known } = steady(20);
  liveness.sent(0);
  known.oldestSentUs = 0;
  // Round trip, deviation (1 ms at the least), what the peer holds back, slack.
  assert.deepEqual(course(liveness, 45)[0], [31, "probe"]);
});

/** As `steady`, but round trips lie `jitter` of their mean above and below it in turn. */
function unsteady(rttMs: number, jitter: number): Steady {
  const rtt = new Rtt();
  for (let count = 0; count < 50; count += 1) {
    rtt.sample(rttMs * (1 + jitter * (count % 2 === 0 ? 1 : -1)) * MS, 0, true);
  }
  const known: Known = { rtt, answerHeldUs: Math.min(rttMs / 4, 25) * MS, oldestSentUs: NEVER };
  const liveness = new Liveness(known);
  liveness.attached(0);
  return { liveness, known };
}

for (const rttMs of [1, 5, 20, 50, 100, 200, 300, 600]) {
  for (const jitter of [0, 0.1, 0.25]) {
    test(`a dead link of ${rttMs} ms +- ${100 * jitter} % takes no new packets after max(3 RTT, 200 ms)`, () => {
      const limitMs = Math.max(3 * rttMs, 200);
      const last = (sentMs: number, answeredMs: number) => {
        const { liveness, known } = unsteady(rttMs, jitter);
        liveness.sent(sentMs * MS);
        if (answeredMs > sentMs) liveness.answered(answeredMs * MS, false);
        known.oldestSentUs = sentMs * MS;
        for (let nowUs = 0; liveness.carries; ) {
          nowUs = Math.max(liveness.deadlineUs(nowUs), nowUs);
          if (liveness.due(nowUs) === "probe") liveness.sent(nowUs);
          assert.ok(nowUs <= limitMs * MS, `carries after ${nowUs / MS} ms`);
        }
      };
      // In a stream the oldest packet is a round trip old when answers stop; a lone one leaves then.
      last(-rttMs, 0);
      last(0, 0);
    });
  }
}

test("no link is doubted sooner than 20 ms", () => {
  const { liveness, known } = steady(1);
  liveness.sent(0);
  known.oldestSentUs = 0;
  assert.deepEqual(course(liveness, 100)[0], [20, "probe"]);
});

test("a suspect link that answers has been up all the time, and carries in the meantime only if it must", () => {
  const { liveness, known } = steady(20);
  liveness.sent(0);
  known.oldestSentUs = 0;
  course(liveness, 50);
  assert.equal(liveness.life.tag, "suspect");
  assert.equal(liveness.carries, false);
  liveness.needed = true;
  assert.equal(liveness.carries, true);
  liveness.answered(60 * MS, true);
  assert.deepEqual(liveness.life, { tag: "up", sinceUs: 0 });
});

test("who was stopped himself looks for answers before he doubts", () => {
  const { liveness, known } = steady(20);
  liveness.sent(0);
  known.oldestSentUs = 0;
  const wokenUs = 60 * SECOND;
  assert.equal(liveness.due(wokenUs), "nothing");
  assert.equal(liveness.life.tag, "up");
  const againUs = liveness.deadlineUs(wokenUs);
  assert.ok(againUs > wokenUs && againUs <= wokenUs + 5 * MS);
  assert.equal(liveness.due(againUs), "silent", "once");
  assert.equal(liveness.life.tag, "down");
});

/** How long after an answer the death of an idle link is known. */
function deathKnownUs({ liveness, known }: Steady, activeUs: number, rttMs: number): number {
  liveness.activeUs = activeUs;
  liveness.sent(0);
  liveness.answered(rttMs * MS, true);
  for (let nowUs = rttMs * MS; liveness.life.tag !== "down"; ) {
    nowUs = Math.max(liveness.deadlineUs(nowUs), nowUs);
    if (liveness.due(nowUs) !== "probe") continue;
    liveness.sent(nowUs);
    known.oldestSentUs = Math.min(known.oldestSentUs, nowUs);
  }
  return liveness.life.sinceUs - rttMs * MS;
}

const IDLE: [when: string, activeUs: number][] = [
  ["while others carry traffic", 0],
  ["when nothing flows", Number.NEGATIVE_INFINITY],
];
for (const [when, activeUs] of IDLE) {
  test(`an idle link's death is known within a second ${when}`, () => {
    for (const rttMs of [1, 20, 100, 200, 250]) {
      const tookUs = deathKnownUs(steady(rttMs), activeUs, rttMs);
      assert.ok(tookUs <= 1010 * MS, `${tookUs} us at ${rttMs} ms`);
    }
  });
}

test("a longer keepalive holds when nothing flows, and only then", () => {
  const keepaliveUs = 15 * SECOND;
  const quietUs = deathKnownUs(steady(20, keepaliveUs), Number.NEGATIVE_INFINITY, 20);
  assert.ok(quietUs > 14 * SECOND && quietUs <= keepaliveUs + 10 * MS, `${quietUs} us`);
  assert.ok(deathKnownUs(steady(20, keepaliveUs), 0, 20) <= 1010 * MS);
});

test("a link that flaps is kept waiting, unless there is no other", () => {
  const { liveness } = steady(20);
  const tag = () => liveness.life.tag;
  liveness.unusable(1 * SECOND);
  liveness.answered(2 * SECOND, true);
  assert.equal(tag(), "up", "the first return is free");
  liveness.unusable(3 * SECOND);
  liveness.answered(4 * SECOND, true);
  assert.equal(tag(), "down");
  for (let atMs = 4_100; atMs < 5_000; atMs += 100) liveness.answered(atMs * MS, true);
  assert.equal(tag(), "down");
  liveness.answered(5 * SECOND, true);
  assert.equal(tag(), "up", "after a second of answers");
  liveness.unusable(6 * SECOND);
  liveness.needed = true;
  liveness.answered(7 * SECOND, true);
  assert.equal(tag(), "up");
});

test("who proves himself may miss an answer or two, and does not prove himself by answering now and then", () => {
  const proves = (answered: (atMs: number) => boolean): boolean => {
    const { liveness } = steady(20);
    for (const atMs of [1_000, 3_000]) {
      liveness.unusable(atMs * MS);
      if (atMs < 3_000) liveness.answered((atMs + 1_000) * MS, true);
    }
    for (let atMs = 4_000; atMs <= 5_500; atMs += 100) {
      if (answered(atMs)) liveness.answered(atMs * MS, true);
    }
    return liveness.life.tag === "up";
  };
  // A probe each tenth of a second: a path that loses one in a hundred must not be kept out for long.
  assert.ok(proves((atMs) => atMs !== 4_300 && atMs !== 4_800 && atMs !== 4_900));
  assert.ok(!proves((atMs) => atMs % 1_000 < 500));
});

test("however much answers vary, a link is doubted a fifth of a second after the usual time of one", () => {
  const { liveness, known } = steady(20);
  for (let count = 0; count < 50; count += 1) known.rtt.sample((count % 2) * 600 * MS, 0, true);
  known.answerHeldUs = 25 * MS;
  assert.ok(4 * known.rtt.varUs > 800 * MS);
  liveness.sent(0);
  known.oldestSentUs = 0;
  const doubtedMs = (known.rtt.srttUs + 25 * MS + 5 * MS) / MS + 200;
  assert.deepEqual(course(liveness, 700)[0], [Math.round(doubtedMs), "probe"]);
});
