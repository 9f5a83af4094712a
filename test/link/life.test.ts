/** A link's life as a table: what silence, answers and failures make of each state, and when it may return. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, NEVER, SECOND } from "../../src/core/time.ts";
import {
  type DownLife,
  type Life,
  type LifeEvent,
  type LifeTerms,
  nextLife,
  silenceLimitUs,
} from "../../src/link/life.ts";

const now = 100 * SECOND;
const AGO = now - 60 * SECOND;
const connecting: Life = { tag: "connecting", sinceUs: 0 };
const up = (sinceUs: number): Life => ({ tag: "up", sinceUs });
const suspect = (nextProbeUs: number): Life => ({
  ...{ tag: "suspect", sinceUs: now - 50 * MS, upSinceUs: 5, nextProbeUs },
});
const down = (more: Partial<DownLife> = {}): DownLife => ({
  ...{ tag: "down", sinceUs: now - SECOND, freshUs: now - SECOND, nextProbeUs: now },
  ...{ intervalUs: 100 * MS, holdUs: 0, answeringUs: -NEVER, answeredUs: -NEVER, ...more },
});
const fallen = (more: Partial<DownLife> = {}) => down({ sinceUs: now, freshUs: now, ...more });
const probed = (waitMs: number, intervalMs: number, more: Partial<DownLife> = {}) =>
  down({ nextProbeUs: now + waitMs * MS, intervalUs: intervalMs * MS, ...more });
/** Must answer for a second, and began to half a second ago. */
const proving = { holdUs: SECOND, answeringUs: now - 500 * MS, answeredUs: now - 100 * MS };
const proven = { ...proving, answeringUs: now - SECOND };

const terms: LifeTerms = { probeUs: 25 * MS, holdUs: 4, patienceUs: 200 * MS, needed: false };

// biome-ignore format: a table reads in columns
const table: [from: Life, event: LifeEvent, to: Life, name: string][] = [
  [connecting,         "attached",  up(now),      "is up once the peer has answered"],
  [connecting,         "heard",     connecting,   "is not up because something was heard before"],
  [connecting,         "silent",    connecting,   "cannot fall silent before it was up"],
  [connecting,         "unusable",  connecting,   "that is not attached has nothing to lose"],
  [connecting,         "restored",  connecting,   "that is not attached is attached in its own time"],
  [up(5),              "attached",  up(5),        "stays up through new keys"],
  [up(5),              "heard",     up(5),        "stays up"],
  [up(5),              "restored",  up(5),        "that works needs no restoring"],
  [up(5),              "doubted",   { ...suspect(now), sinceUs: now }, "is probed at once when an answer is overdue"],
  [up(5),              "silent",    fallen({ holdUs: 4 }), "is probed at once when silent"],
  [up(5),              "unusable",  fallen({ holdUs: 4, nextProbeUs: NEVER }), "is not probed when it is known to be useless"],
  [up(5),              "detached",  { tag: "connecting", sinceUs: now }, "begins anew when its keys are gone"],
  [suspect(now),       "heard",     up(5),        "that was suspected wrongly has been up all the time"],
  [suspect(now),       "probed",    suspect(now + 25 * MS), "is probed densely while suspect"],
  [suspect(now + 9),   "recarried", suspect(now), "that is suspect asks by its new way at once"],
  [suspect(now),       "silent",    fallen({ holdUs: 4 }), "that stays silent is down"],
  [suspect(now),       "unusable",  fallen({ holdUs: 4, nextProbeUs: NEVER }), "that is suspect may prove useless"],
  [down(),             "heard",     up(now),      "is back at the first answer"],
  [down(),             "attached",  down(),       "is not back because it has new keys"],
  [down(),             "probed",    probed(100, 200), "is probed ever more seldom"],
  [down(),             "unusable",  down({ nextProbeUs: NEVER }), "that is down and useless is not probed"],
  [down({ nextProbeUs: NEVER }), "unusable",  down({ nextProbeUs: NEVER }), "is useless only once"],
  [down({ nextProbeUs: NEVER }), "recarried", down({ nextProbeUs: NEVER }), "that is useless is so by whatever way"],
  [down({ nextProbeUs: NEVER }), "heard",     up(now), "that answers is of use, whatever was said"],
  [down({ nextProbeUs: NEVER }), "restored",  down({ freshUs: now }), "is asked at once when it may be of use again"],
  [down({ nextProbeUs: now + SECOND, freshUs: AGO }), "restored", down({ freshUs: now }), "that is down is asked at once when something changed"],
  [down({ intervalUs: 400 * MS }), "probed", probed(400, 400), "that is down for a short while is probed every 400 ms at the least"],
  [down({ intervalUs: 400 * MS, freshUs: AGO }), "probed", probed(400, 800, { freshUs: AGO }), "that is down for long is probed ever more seldom"],
  [down({ intervalUs: SECOND, freshUs: AGO }), "probed", probed(1000, 1000, { freshUs: AGO }), "is probed every second at the least"],
  [down({ holdUs: SECOND }), "heard", down({ holdUs: SECOND, answeringUs: now, answeredUs: now }), "that keeps failing is not back at the first answer"],
  [down(proving),      "heard",     down({ ...proving, answeredUs: now }), "that keeps failing has to go on answering"],
  [down(proven),       "heard",     up(now),      "that has answered for its time is back"],
  [down({ ...proven, answeredUs: now - 300 * MS }), "heard", down({ ...proven, answeringUs: now, answeredUs: now }), "that pauses begins its time anew"],
  [down({ ...proving, intervalUs: 400 * MS }), "probed", probed(400, 100, proving), "that answers is asked often"],
];

for (const [from, event, to, name] of table) {
  test(`a link ${name}`, () => assert.deepEqual(nextLife(from, event, now, terms), to));
}

test("a link that keeps failing is back at once when there is no other", () => {
  const needed = { ...terms, needed: true };
  assert.deepEqual(nextLife(down({ holdUs: 30 * SECOND }), "heard", now, needed), up(now));
});

test("silence is judged within a second and never within 200 ms", () => {
  assert.equal(silenceLimitUs(1 * MS, 1 * MS), 200 * MS);
  assert.equal(silenceLimitUs(100 * MS, 50 * MS), 300 * MS);
  assert.equal(silenceLimitUs(10 * SECOND, 0), 800 * MS);
});

test("a satellite's round trip is not silence", () => {
  assert.equal(silenceLimitUs(1 * SECOND, 900 * MS), 1350 * MS);
});
