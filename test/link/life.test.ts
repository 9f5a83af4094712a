import assert from "node:assert/strict";
import { test } from "node:test";
import { MS, SECOND } from "../../src/core/time.ts";
import { type Life, type LifeEvent, nextLife, silenceLimitUs } from "../../src/link/life.ts";

const now = 100 * SECOND;
const connecting: Life = { tag: "connecting", sinceUs: 0 };
const up = (sinceUs: number): Life => ({ tag: "up", sinceUs });
const down = (nextProbeUs: number, intervalUs: number, forUs = SECOND): Life => ({
  ...{ tag: "down", sinceUs: now - forUs, nextProbeUs, intervalUs },
});
const AGO = 60 * SECOND;

// biome-ignore format: a table reads in columns
const table: [from: Life, event: LifeEvent, to: Life, name: string][] = [
  [connecting,             "attached", up(now),      "is up once the peer has answered"],
  [connecting,             "heard",    connecting,   "is not up because something was heard before"],
  [connecting,             "silent",   connecting,   "cannot fall silent before it was up"],
  [up(5),                  "attached", up(5),        "stays up through new keys"],
  [up(5),                  "heard",    up(5),        "stays up"],
  [up(5),                  "silent",   { tag: "down", sinceUs: now, nextProbeUs: now, intervalUs: 100 * MS }, "is probed at once when silent"],
  [up(5),                  "detached", { tag: "connecting", sinceUs: now }, "begins anew when its keys are gone"],
  [down(now, 100 * MS),    "heard",    up(now),      "is back at the first answer"],
  [down(now, 100 * MS),    "attached", down(now, 100 * MS), "is not back because it has new keys"],
  [down(now, 100 * MS),    "probed",   down(now + 100 * MS, 200 * MS), "is probed ever more seldom"],
  [down(now, 400 * MS),    "probed",   down(now + 400 * MS, 400 * MS), "that is down for a short while is probed every 400 ms at the least"],
  [down(now, 400 * MS, AGO), "probed", down(now + 400 * MS, 800 * MS, AGO), "that is down for long is probed ever more seldom"],
  [down(now, 2 * SECOND, AGO), "probed", down(now + 2 * SECOND, 2 * SECOND, AGO), "is probed every two seconds at the least"],
];

for (const [from, event, to, name] of table) {
  test(`a link ${name}`, () => assert.deepEqual(nextLife(from, event, now), to));
}

test("silence is judged within a second and never within 200 ms", () => {
  assert.equal(silenceLimitUs(1 * MS, 1 * MS), 200 * MS);
  assert.equal(silenceLimitUs(100 * MS, 50 * MS), 300 * MS);
  assert.equal(silenceLimitUs(10 * SECOND, 0), 800 * MS);
});

test("a satellite's round trip is not silence", () => {
  assert.equal(silenceLimitUs(1 * SECOND, 900 * MS), 1350 * MS);
});
